"""Faults that really happen: full and read-only disks, other writers, kills."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_tincture import open_image
from napari_tincture.errors import OutputError
from napari_tincture.io import layout
from napari_tincture.raster import Raster

pytestmark = pytest.mark.slow

NOISE = np.random.default_rng(0).integers(0, 255, (600, 600), np.uint8)

HEAD = """
import sys
from pathlib import Path
import numpy as np
from napari_tincture import open_image
from napari_tincture.errors import OutputError
from napari_tincture.io import layout
from napari_tincture.raster import Raster
layout.SHARD, layout.CHUNK = 128, 64
values = np.random.default_rng(0).integers(0, 255, (600, 600), np.uint8)
image = Raster.from_array(values, "yx")
path = Path(sys.argv[1]) / "a.ome.zarr"
def refused(words):
    try:
        image.save(path)
    except OutputError as error:
        assert words in str(error), error
    else:
        raise AssertionError("it was written")
def continued():
    told = []
    image.save(path, progress=lambda *n: told.append(n))
    assert (open_image(path).compute() == values).all()
    assert not list(path.parent.glob("*.partial"))
    return told[0][1] < 25
"""


def run(script: str, *arguments: object, before: tuple[str, ...] = ()) -> None:
    command = [*before, sys.executable, "-W", "ignore", "-c", HEAD + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def can_mount() -> bool:
    """Whether this user may mount in a name space of its own, as most Linux systems allow."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True).returncode == 0


MOUNTS = pytest.mark.skipif(not can_mount(), reason="no file system can be mounted here")
OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")


@MOUNTS
def test_a_full_disk_is_named_and_once_there_is_space_the_same_call_continues(tmp_path):
    run(
        """
import os, subprocess
def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", sys.argv[1]], check=True)
mount("size=300k")
refused("the disk is full")
assert [p.name for p in path.parent.iterdir()] == ["a.ome.zarr.partial"]
mount("remount,size=50m")
assert continued()
""",
        tmp_path,
        before=OWN_MOUNTS,
    )


@MOUNTS
def test_a_read_only_disk_is_named(tmp_path):
    run(
        """
import subprocess
subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", sys.argv[1]], check=True)
refused("not writable")
""",
        tmp_path,
        before=OWN_MOUNTS,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on the size of files")
def test_a_limit_on_files_is_named_and_once_it_is_gone_the_same_call_continues(tmp_path):
    run(
        """
import resource
kept = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, kept[1]))
refused("the disk is full")
resource.setrlimit(resource.RLIMIT_FSIZE, kept)
continued()
""",
        tmp_path,
    )


@pytest.fixture
def writer(tmp_path):
    """Another process in the middle of writing the same result."""
    script = """
def progress(done, total):
    if done == 12:
        print("half", flush=True)
        sys.stdin.read()
image.save(path, progress=progress)
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HEAD + script, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    yield process
    process.kill()
    process.communicate()


def test_another_writer_is_named_and_when_it_is_killed_its_work_is_continued(
    tmp_path, monkeypatch, writer
):
    monkeypatch.setattr(layout, "SHARD", 128)
    monkeypatch.setattr(layout, "CHUNK", 64)
    image = Raster.from_array(NOISE, "yx")
    with pytest.raises(OutputError, match=f"written by process {writer.pid} of "):
        image.save(tmp_path / "a.ome.zarr")
    with pytest.raises(OutputError, match=f"written by process {writer.pid} of "):
        image.save(tmp_path / "a.ome.zarr", overwrite=True)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    told = []
    image.save(tmp_path / "a.ome.zarr", progress=lambda *n: told.append(n))
    assert told[0][1] == 25 - 12
    np.testing.assert_array_equal(open_image(tmp_path / "a.ome.zarr").compute(), NOISE)
    assert [p.name for p in Path(tmp_path).iterdir()] == ["a.ome.zarr"]


def test_a_kill_inside_the_write_of_a_shard_leaves_nothing_that_is_read(tmp_path):
    run(
        """
import os, signal
from zarr.storage import _local
def half(path, value, exclusive=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = bytes(value.as_buffer_like())
    if len(data) > 2000 and len(list(path.parent.parent.rglob("*"))) > 8:
        path.with_suffix(".0123.partial").write_bytes(data[: len(data) // 2])
        # The kill of a machine may also leave half a file under its name.
        path.write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    with _local._atomic_write(path, "wb", exclusive=exclusive) as file:
        return file.write(data)
if not os.fork():
    _local._put = half
    image.save(path)
assert os.waitpid(-1, 0)[1] == signal.SIGKILL
assert list(path.parent.rglob("*.0123.partial"))
assert continued()
assert not list(path.rglob("*.partial"))
""",
        tmp_path,
    )
