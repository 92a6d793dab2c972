from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from napari_tincture import device
from napari_tincture.errors import DeviceError

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


def test_the_cpu_is_always_there() -> None:
    assert device.available_devices()[0] == "cpu"
    assert device.resolve_device("cpu") == torch.device("cpu")
    assert device.resolve_device(torch.device("cpu")) == torch.device("cpu")


def test_auto_is_the_first_cuda_device_or_the_cpu() -> None:
    expected = "cuda:0" if torch.cuda.is_available() else "cpu"
    assert device.resolve_device("auto") == torch.device(expected)


def test_every_listed_device_can_be_described() -> None:
    for name in device.available_devices():
        assert "GiB" in device.describe_device(name)


@without_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_cuda_without_cuda_says_what_torch_sees_and_what_to_do(name: str) -> None:
    with pytest.raises(DeviceError, match="was requested") as raised:
        device.resolve_device(name)
    assert torch.__version__ in str(raised.value)
    assert "device='auto'" in str(raised.value)


@without_cuda
def test_a_hidden_gpu_is_told_from_a_build_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(DeviceError, match="the variable hides the GPU"):
        device.resolve_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "tpu", "meta", "cuda:x", ""])
def test_an_unknown_device_lists_the_known_ones(name: str) -> None:
    with pytest.raises(DeviceError, match="Use one of auto, cpu"):
        device.resolve_device(name)


def test_a_cuda_number_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match=r"sees 2 CUDA device.*cuda:0, cuda:1"):
        device.resolve_device("cuda:2")


def test_the_budget_is_at_most_what_the_machine_has() -> None:
    assert 0 < device.memory_budget("cpu") <= psutil.virtual_memory().total


def _group(folder: Path, version: int, limit: str, usage: int, cached: int) -> None:
    limit_file, usage_file, key = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }[version]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limit_file).write_text(f"{limit}\n")
    (folder / usage_file).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon {usage - cached}\n{key} {cached}\n")


def _room(tmp_path: Path, membership: str) -> int:
    (tmp_path / "membership").write_text(membership)
    return device._control_group_room(tmp_path / "cgroup", tmp_path / "membership")


def test_a_container_of_version_2_limits_the_budget(tmp_path: Path) -> None:
    _group(tmp_path / "cgroup/a", 2, "1000", 700, 200)
    _group(tmp_path / "cgroup/a/b", 2, "max", 100, 0)
    assert _room(tmp_path, "0::/a/b\n") == 1000 - 700 + 200


def test_a_container_of_version_1_limits_the_budget(tmp_path: Path) -> None:
    _group(tmp_path / "cgroup/memory/job", 1, "500", 450, 0)
    assert _room(tmp_path, "5:cpuset:/\n4:memory,pids:/job\n0::/\n") == 50


def test_inside_a_container_the_mounted_root_is_the_own_group(tmp_path: Path) -> None:
    _group(tmp_path / "cgroup", 2, "300", 100, 0)
    assert _room(tmp_path, "0::/only/the/host/sees/this\n") == 200


def test_no_control_group_is_no_limit(tmp_path: Path) -> None:
    assert device._control_group_room(tmp_path, tmp_path / "absent") == sys.maxsize
    assert _room(tmp_path, "0::/\n") == sys.maxsize


_FAULTS = """
import resource, sys, numpy
from napari_tincture import device
if sys.argv[1] == "tuned":
    device.tune_allocator()
def job():
    for _ in range(20):
        numpy.ones(2**24, numpy.uint8)
job()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
job()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
numbers = [numpy.ones(2**26, numpy.uint8) for _ in range(4)]
del numbers
import psutil
held = psutil.Process().memory_info().rss
device.release_memory()
print(held - psutil.Process().memory_info().rss)
"""


def _page_faults(how: str, environment: dict[str, str]) -> tuple[int, int]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS, how],
        # numpy would ask for huge pages, of which few are enough.
        env={**plain, "NUMPY_MADVISE_HUGEPAGE": "0", **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    faults, released = done.stdout.split()
    return int(faults), int(released)


@pytest.mark.skipif(not device.allocator_environment(), reason="the C library is not glibc")
def test_a_tuned_allocator_keeps_blocks_until_they_are_released() -> None:
    plain, _ = _page_faults("plain", {"MALLOC_MMAP_THRESHOLD_": str(2**17)})
    tuned, released = _page_faults("tuned", {})
    inherited, _ = _page_faults("plain", device.allocator_environment())
    # 20 blocks of 16 MiB are 81,920 pages of 4 KiB, unless the heap keeps them.
    assert plain > 10_000
    assert max(tuned, inherited) < plain / 10
    assert released > 2**27
