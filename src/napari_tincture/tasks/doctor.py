"""What an installation can do, and the command that mends what it cannot."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from napari_tincture.errors import TinctureError
from napari_tincture.io.tile_cache import VARIABLE as CACHE
from napari_tincture.io.tile_cache import cache_folder
from napari_tincture.models.shipped import VARIABLE as MODELS
from napari_tincture.models.shipped import library_folder

PACKAGES = ("napari-tincture", "napari", "torch", "numpy", "dask", "zarr", "scikit-image")
BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
LARGEST_ERROR = 1e-4
"""Of a tiled run, in standard deviations of the output, beside which it is more than rounding."""
LEAST_MEMORY, SLOWEST_DISK = 4 * 2**30, 50e6
"""Bytes that should be free, and bytes per second that should be written."""
SIDE = 256
"""Of the square that is segmented to see speed and exactness."""
WRITTEN = 64 * 2**20
"""Bytes that are written to see how fast the disk is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What.
    found
        How it is.
    well
        Whether nothing needs to be done.
    remedy
        What helps, a command where one does; empty if all is well.
    """

    name: str
    found: str
    well: bool = True
    remedy: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found; prints as a table.

    Attributes
    ----------
    findings
        In the order in which they were looked at.
    """

    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether nothing needs to be done."""
        return all(each.well for each in self.findings)

    def to_json(self) -> list[dict[str, Any]]:
        """The findings as plain mappings."""
        return [asdict(each) for each in self.findings]

    def __str__(self) -> str:
        wide = max(len(each.name) for each in self.findings)
        lines = []
        for each in self.findings:
            lines.append(f"{'ok  ' if each.well else 'FAIL'}  {each.name:{wide}}  {each.found}")
            if each.remedy:
                lines.append(f"{'':{wide + 6}}  → {each.remedy}")
        return "\n".join(lines)


def doctor() -> Diagnosis:
    """Look at versions, Qt, torch and the driver, memory, speed, exactness and disks.

    Takes some seconds: a small image is segmented, and a file is written and removed again.

    Returns
    -------
    Diagnosis
        Each finding with what helps.
    """
    found: list[Finding] = []
    for look in (_versions, _qt, _devices, _memory, _one_tile, _disks):
        found += look()
    return Diagnosis(tuple(found))


def _versions() -> Iterator[Finding]:
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    for name in PACKAGES:
        there = _version(name)
        remedy = "" if there else f"pip install {name}"
        yield Finding(name, there or "missing", bool(there), remedy)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _qt() -> Iterator[Finding]:
    there = [f"{name} {_version(name)}" for name in BINDINGS if _version(name)]
    if there:
        yield Finding("Qt", ", ".join(there))
    else:
        remedy = 'pip install "napari-tincture[pyqt6]"'
        yield Finding("Qt", "no binding: panels cannot open; scripts can run", False, remedy)


def _devices() -> Iterator[Finding]:
    import torch

    from napari_tincture.device import available_devices, describe_device

    for name in available_devices():
        yield Finding(f"device {name}", describe_device(name))
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    driver = _driver()
    if driver and not torch.cuda.is_available():
        remedy = "pip install --force-reinstall torch  (for older drivers see pytorch.org)"
        yield Finding("torch build", f"{build}; the driver is {driver}", False, remedy)
    else:
        yield Finding("torch build", build + (f"; the driver is {driver}" if driver else ""))


def _driver() -> str:
    """Version of NVIDIA's driver; empty if there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().partition("\n")[0] if done.returncode == 0 else ""


def _memory() -> Iterator[Finding]:
    from napari_tincture.device import memory_budget

    free, whole = memory_budget("cpu"), psutil.virtual_memory().total
    text = f"{free / 2**30:.1f} GiB of {whole / 2**30:.1f} GiB may be used"
    well = free >= LEAST_MEMORY
    yield Finding("memory", text, well, "" if well else "close other programs")


def _one_tile() -> Iterator[Finding]:
    """Speed and exactness of the shipped segmentation on one tile."""
    from napari_tincture import samples
    from napari_tincture.tasks.seams import seam_error
    from napari_tincture.tasks.segment import segment

    image = samples.nuclei().crop({axis: slice(0, SIDE) for axis in "yx"})
    try:
        segment(image, "nuclei", output="probabilities").compute()  # measures the network
        start = time.perf_counter()
        segment(image, "nuclei", output="probabilities").compute()
        seconds = time.perf_counter() - start
        error = seam_error("nuclei", image)
    except TinctureError as problem:
        yield Finding("one tile", str(problem), False, "see the message")
        return
    yield Finding("speed", f"{SIDE**2 / seconds / 1e6:.2f} megapixels per second, one small tile")
    exact = error.relative_max <= LARGEST_ERROR
    text = f"tiles differ from the whole by {error.relative_max:.1g} standard deviations at most"
    remedy = (
        "" if exact else "report this with the lines above: results of tiles are not exact here"
    )
    yield Finding("exactness", text, exact, remedy)


def _disks() -> Iterator[Finding]:
    cache = cache_folder()
    if cache is None:
        yield Finding("live tiles", f"in memory alone: {CACHE} is empty")
    else:
        yield _of_disk("live tiles", cache, CACHE)
    yield _of_disk("own models", library_folder(), MODELS)
    yield _of_disk("temporary files", Path(tempfile.gettempdir()), "TMPDIR")


def _of_disk(name: str, folder: Path, variable: str) -> Finding:
    remedy = f"export {variable}=/another/folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        speed = _write_speed(folder, WRITTEN)
    except OSError as error:
        return Finding(name, f"{folder}: {error}", False, remedy)
    free = shutil.disk_usage(folder).free
    text = f"{folder}: {speed / 1e6:.0f} MB/s, {free / 2**30:.0f} GiB free"
    well = speed >= SLOWEST_DISK
    return Finding(name, text, well, "" if well else remedy)


def _write_speed(folder: Path, size: int) -> float:
    """Bytes per second that reach the disk."""
    block = os.urandom(2**20)
    with tempfile.TemporaryFile(dir=folder) as file:
        start = time.perf_counter()
        for _ in range(size // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return size / (time.perf_counter() - start)
