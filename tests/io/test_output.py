"""Outputs appear complete or not at all, and errors say what to do."""

import errno
import os

import dask.array as da
import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

from napari_tincture.errors import Cancelled, InputError, OutputError
from napari_tincture.io import layout
from napari_tincture.io.open import open_image
from napari_tincture.io.unfinished import Unfinished
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster

FORMATS = pytest.mark.parametrize("name", ["a.ome.zarr", "a.zarr", "a.ome.tif", "a.TIFF"])


@pytest.fixture(autouse=True)
def nine_shards(monkeypatch):
    monkeypatch.setattr(layout, "SHARD", 256)
    monkeypatch.setattr(layout, "CHUNK", 128)


def image(value=1, shape=(600, 600)):
    return Raster.from_array(da.full(shape, value, chunks=128, dtype="u1"), "yx")


@FORMATS
def test_an_existing_output_is_kept_unless_it_may_be_replaced(tmp_path, name):
    image(1).save(tmp_path / name)
    with pytest.raises(OutputError, match="overwrite=True"):
        image(2).save(tmp_path / name)
    assert open_image(tmp_path / name).compute()[0, 0] == 1
    image(2).save(tmp_path / name, overwrite=True)
    assert open_image(tmp_path / name).compute()[0, 0] == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.tex").touch()
    with pytest.raises(OutputError, match="no zarr store"):
        image().save(tmp_path / "a.zarr", overwrite=True)
    assert (tmp_path / "a.zarr" / "thesis.tex").exists()


@pytest.mark.parametrize("name", ["a", "a.png", "a.nd2"])
def test_formats_that_cannot_be_written_are_refused(tmp_path, name):
    with pytest.raises(OutputError, match=r"\.ome\.zarr"):
        image().save(tmp_path / name)


@FORMATS
def test_folders_are_made(tmp_path, name):
    image().save(tmp_path / "new" / "folder" / name)
    assert (tmp_path / "new" / "folder" / name).exists()


@FORMATS
def test_a_place_that_cannot_be_written_is_named(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=f"{name} cannot be written"):
        image().save(tmp_path / "file" / name)


@FORMATS
def test_a_cancelled_output_is_continued_by_the_same_call(tmp_path, name):
    token = CancelToken()

    def progress(done, total):
        if done == 3:
            # Until now the output is being made, and is not yet in its place.
            assert not (tmp_path / name).exists()
            token.cancel()

    source = image()
    with pytest.raises(Cancelled, match="same call continues"):
        source.save(tmp_path / name, progress=progress, cancel=token)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.partial"]
    told = []
    source.save(tmp_path / name, progress=lambda *n: told.append(n))
    assert told[0] == (0, 9 - 3)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / name)), np.asarray(source))


@FORMATS
def test_a_cancelled_output_of_which_nothing_is_finished_leaves_nothing(tmp_path, name):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        image().save(tmp_path / name, cancel=token)
    assert not list(tmp_path.iterdir())


@FORMATS
def test_a_failing_source_leaves_nothing_and_keeps_its_error(tmp_path, name):
    def fail(block):
        raise OSError("the network is down")

    broken = Raster.from_array(image().data.map_blocks(fail, meta=np.empty((0, 0), "u1")), "yx")
    image(7).save(tmp_path / name)
    with pytest.raises(OSError, match="the network is down") as caught:
        broken.save(tmp_path / name, overwrite=True)
    assert not isinstance(caught.value, OutputError)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert open_image(tmp_path / name).compute()[0, 0] == 7


@FORMATS
@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "not writable"), (errno.EIO, "another place")],
)
def test_errors_of_the_disk_become_a_remedy_and_the_same_call_continues(
    tmp_path, monkeypatch, name, code, remedy
):
    original, written = LocalStore.set, []

    async def full_after_some(self, key, value, *arguments):
        written.append(key)
        if len(written) > 12:
            raise OSError(code, "as the operating system says")
        return await original(self, key, value, *arguments)

    source = image()
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "set", full_after_some)
        with pytest.raises(OutputError, match=remedy) as caught:
            source.save(tmp_path / name)
    assert name in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.partial"]
    told = []
    source.save(tmp_path / name, progress=lambda *n: told.append(n))
    assert 0 < told[0][1] < 9
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_full_disk_while_tiff_is_written_leaves_what_is_finished(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")

    def full(self, *arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tifffile.TiffWriter, "write", full)
        with pytest.raises(OutputError, match="disk is full"):
            image().save(tmp_path / "a.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif.partial"]
    image().save(tmp_path / "a.tif", progress=lambda done, total: total and pytest.fail("again"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_half_written_stores_are_not_opened_as_finished(tmp_path):
    seen = []

    def progress(done, total):
        if done == 3:
            (partial,) = tmp_path.iterdir()
            seen.append("ome" in zarr.open_group(partial / "data.zarr", mode="r").attrs)
            for path in (partial, tmp_path / "a.ome.zarr"):
                with pytest.raises(InputError, match=r"unfinished.*same call"):
                    open_image(path)

    image().save(tmp_path / "a.ome.zarr", progress=progress)
    assert seen == [False]


def test_of_two_jobs_with_one_output_the_second_is_refused_and_told_of_the_first(tmp_path):
    def progress(done, total):
        if done == 3:
            with pytest.raises(OutputError, match=f"written by process {os.getpid()} of .* on "):
                image().save(tmp_path / "a.ome.zarr")

    image().save(tmp_path / "a.ome.zarr", progress=progress)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_what_was_begun_otherwise_is_not_continued_unless_it_may_be_replaced(tmp_path):
    token = CancelToken()
    with pytest.raises(Cancelled):
        image().save(
            tmp_path / "a.ome.zarr", cancel=token, progress=lambda n, _: n == 3 and token.cancel()
        )
    with pytest.raises(OutputError, match=r"image\.sample: .* → .*\n.*overwrite=True"):
        image(2).save(tmp_path / "a.ome.zarr")
    # The refused call has cost nothing.
    told = []
    with pytest.raises(Cancelled):
        image().save(tmp_path / "a.ome.zarr", cancel=token, progress=lambda *n: told.append(n))
    assert told == [(0, 9 - 3)]
    image(2).save(tmp_path / "a.ome.zarr", overwrite=True)
    assert open_image(tmp_path / "a.ome.zarr").compute()[500, 500] == 2


def test_a_folder_of_the_user_that_bears_the_name_is_left_alone(tmp_path):
    (tmp_path / "a.ome.zarr.partial").mkdir()
    (tmp_path / "a.ome.zarr.partial" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds thesis\.txt"):
        image().save(tmp_path / "a.ome.zarr", overwrite=True)
    assert (tmp_path / "a.ome.zarr.partial" / "thesis.txt").read_text() == "mine"


def test_an_image_that_changes_meanwhile_gives_no_result(tmp_path):
    values = np.zeros((5000, 5000), np.uint8)

    def progress(done, total):
        values[:] = 1

    with pytest.raises(OutputError, match="changed while"):
        Raster.from_array(values, "yx").save(tmp_path / "a.ome.zarr", progress=progress)
    assert not (tmp_path / "a.ome.zarr").exists()


def test_what_a_kill_left_after_the_result_had_moved_is_removed(tmp_path):
    image().save(tmp_path / "a.ome.zarr")
    left = tmp_path / "a.ome.zarr.partial"
    left.mkdir()
    (left / "done.jsonl").touch()
    with pytest.raises(OutputError, match="exists"):
        image().save(tmp_path / "a.ome.zarr")
    assert not left.exists()


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [False, True])
@FORMATS
def test_a_kill_while_the_result_takes_its_place_is_made_good(
    tmp_path, monkeypatch, name, overwrite
):
    class Killed(BaseException):
        """Nothing that the code could have caught."""

    def killed(self):
        raise Killed

    if overwrite:
        image(1).save(tmp_path / name)
    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "abandon", killed)
        with pytest.raises(Killed):
            image(2).save(tmp_path / name, overwrite=overwrite)
    assert len(list(tmp_path.iterdir())) == 2
    if overwrite:
        image(2).save(tmp_path / name, overwrite=True)
    else:
        with pytest.raises(OutputError, match="exists"):
            image(2).save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert open_image(tmp_path / name).compute()[500, 500] == 2


def test_files_that_the_system_puts_there_disturb_nobody(tmp_path):
    token = CancelToken()
    with pytest.raises(Cancelled):
        image().save(
            tmp_path / "a.ome.zarr", cancel=token, progress=lambda n, _: n == 3 and token.cancel()
        )
    for litter in (".DS_Store", "._data.zarr", "Thumbs.db", ".nfs0001"):
        (tmp_path / "a.ome.zarr.partial" / litter).touch()
    image().save(tmp_path / "a.ome.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]
