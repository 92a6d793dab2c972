"""Which device a job runs on, and how much memory it may take.

Nothing here imports torch before it is asked about a device.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from napari_tincture.errors import DeviceError

if TYPE_CHECKING:
    import torch


def available_devices() -> tuple[str, ...]:
    """Names that `resolve_device` accepts on this machine, "cpu" first.

    Returns
    -------
    tuple of str
        For example ``("cpu", "cuda:0", "cuda:1")`` or ``("cpu", "mps")``.
    """
    import torch

    names = ["cpu"]
    if torch.cuda.is_available():
        names += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return tuple(names)


def describe_device(device: str | torch.device) -> str:
    """One line for a person: what the device is and how many GiB of memory it has."""
    chosen = resolve_device(device)
    if chosen.type == "cuda":
        import torch

        properties = torch.cuda.get_device_properties(chosen)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    if chosen.type == "mps":
        return f"Apple GPU, {memory} shared with the system"
    return f"CPU, {_core_count()} cores, {memory}"


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn the `device=` argument of a public call into a torch device.

    Parameters
    ----------
    device
        "auto" takes the first CUDA device, else the CPU. "cpu", "cuda", "cuda:1" and "mps" are
        taken at their word.

    Raises
    ------
    DeviceError
        If the device is unknown or not usable here; says what torch sees and the remedy.
    """
    import torch

    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(_unknown_device(device)) from error
    if chosen.type == "cuda":
        return _resolve_cuda(chosen)
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(
            f"Device 'mps' was requested, but torch {torch.__version__} sees no Apple GPU. "
            "Use device='auto' or 'cpu'."
        )
    if chosen.type not in ("cpu", "mps"):
        raise DeviceError(_unknown_device(device))
    return chosen


def memory_budget(device: str | torch.device = "cpu") -> int:
    """Bytes that a job could still take on the device.

    On the CPU this is what the operating system can give without swapping, or less where a
    container's control group (version 1 or 2) allows less. On a GPU it is what is free on it,
    together with what torch holds there without using it. Callers take a share of it.
    """
    chosen = resolve_device(device)
    if chosen.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(chosen)
        idle = torch.cuda.memory_reserved(chosen) - torch.cuda.memory_allocated(chosen)
        return int(free + idle)
    if chosen.type == "mps":
        import torch

        room = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        return max(0, min(room, _cpu_room()))
    return _cpu_room()


# Large blocks then come from the heap and stay there for the next tile; otherwise every tile's
# activations are mapped, zeroed page by page and unmapped, which takes as long as the convolutions.
_MMAP_THRESHOLD = 2**30
_TRIM_THRESHOLD = 2**31 - 1
_TOP_PAD = 2**26


def allocator_environment() -> dict[str, str]:
    """Environment variables that set up the memory allocator of a process started with them.

    This is the only way that works for all its threads. Empty where the C library is not glibc.
    """
    if _glibc() is None:
        return {}
    return {
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(_MMAP_THRESHOLD),
        "MALLOC_TRIM_THRESHOLD_": str(_TRIM_THRESHOLD),
        "MALLOC_TOP_PAD_": str(_TOP_PAD),
    }


def tune_allocator() -> bool:
    """Set up the memory allocator of this process as `allocator_environment` would.

    Threads that exist already keep the arenas they have. `release_memory` gives back afterwards
    what the heap keeps from now on.

    Returns
    -------
    bool
        Whether there was anything to set: False where the C library is not glibc.
    """
    glibc = _glibc()
    if glibc is None:
        return False
    # Numbers of malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD.
    settings = {-8: 1, -3: _MMAP_THRESHOLD, -1: _TRIM_THRESHOLD, -2: _TOP_PAD}
    done = [glibc.mallopt(name, value) for name, value in settings.items()]
    return all(done)


def release_memory() -> None:
    """Give memory that a finished job no longer uses back to the system and to other programs."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    glibc = _glibc()
    if glibc is not None:
        glibc.malloc_trim(0)


def _resolve_cuda(chosen: torch.device) -> torch.device:
    import torch

    if not torch.cuda.is_available():
        raise DeviceError(f"Device '{chosen}' was requested, but {_why_no_cuda()}")
    count = torch.cuda.device_count()
    index = torch.cuda.current_device() if chosen.index is None else chosen.index
    if index >= count:
        raise DeviceError(
            f"Device '{chosen}' was requested, but torch sees {count} CUDA device(s), "
            f"numbered from 0. Use one of {', '.join(available_devices())}."
        )
    return torch.device("cuda", index)


def _why_no_cuda() -> str:
    import torch

    if torch.version.cuda is None:
        return (
            f"torch {torch.__version__} was built without CUDA. Use device='auto' or 'cpu', or "
            "install a CUDA build of torch (https://pytorch.org/get-started)."
        )
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    cause = "the driver is missing or too old" if hidden is None else "the variable hides the GPU"
    return (
        f"torch {torch.__version__}, built for CUDA {torch.version.cuda}, sees no GPU "
        f"(CUDA_VISIBLE_DEVICES={hidden!r}). Use device='auto' or 'cpu', or check whether {cause}."
    )


def _unknown_device(device: object) -> str:
    known = ", ".join(("auto", *available_devices()))
    return f"Unknown device {str(device)!r}. Use one of {known}."


def _core_count() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_room() -> int:
    return min(int(psutil.virtual_memory().available), _control_group_room())


def _control_group_room(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> int:
    """Bytes left in the tightest of the control groups around this process."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return sys.maxsize
    rooms = [sys.maxsize]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            files = ("memory.max", "memory.current", "inactive_file")
            rooms += _rooms_upwards(root, path, files)
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            rooms += _rooms_upwards(root / "memory", path, files)
    return min(rooms)


def _rooms_upwards(mount: Path, path: str, files: tuple[str, str, str]) -> Iterator[int]:
    # Inside a container the path may name a group that only the host sees: the root is then ours.
    group = mount / path.lstrip("/")
    for folder in (group, *group.parents):
        room = _room(folder, *files)
        if room is not None:
            yield room
        if folder == mount:
            return


def _room(group: Path, limit_file: str, usage_file: str, reclaimable: str) -> int | None:
    try:
        limit = (group / limit_file).read_text().strip()
        usage = int((group / usage_file).read_text())
        statistics = (group / "memory.stat").read_text().split()
    except OSError:
        return None
    if limit == "max":
        return None
    cached = dict(zip(statistics[::2], statistics[1::2], strict=True))
    return max(0, int(limit) - usage + int(cached.get(reclaimable, 0)))


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
