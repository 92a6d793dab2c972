"""Comparing images: SSIM and errors beside scikit-image, torchmetrics and MONAI, in one run."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.verdict import print_verdict

MIB = 2**20
SIDE = 4096
VIEW = 1024


def print_compare(side: int = SIDE) -> None:
    """Everything, each contender in a process of its own."""
    print(f"## Comparing: {side} × {side} RGB uint8\n")
    found = {how: _run(how, side) for how in ("ours", "torch", "skimage", "torchmetrics", "monai")}
    print("| SSIM | seconds | memory above the inputs | value |")
    print("|---|---|---|---|")
    for how, result in found.items():
        if result is None:
            print(f"| {how} | not installed | | |")
            continue
        print(
            f"| {how} | {result['seconds']:.2f} | {result['memory'] / MIB:.0f} MiB | "
            f"{result['value']:.12f} |"
        )
    ours, peer = found["ours"], found["skimage"]
    assert ours is not None
    assert peer is not None
    assert found["torch"] is not None
    disk, view = _run("disk", 2 * side), _run("view", VIEW)
    assert disk is not None
    assert view is not None
    print()
    print_verdict(
        "compare",
        {
            "SSIM: scikit-image / ours": peer["seconds"] / ours["seconds"],
            "SSIM without numba: scikit-image / ours": peer["seconds"] / found["torch"]["seconds"],
            "SSIM: difference to scikit-image": abs(peer["value"] - ours["value"]),
            "SSIM: MiB above the inputs": ours["memory"] / MIB,
            "errors from disk / reading and decoding": disk["errors"] / disk["reading"],
            "SSIM from disk / reading, and SSIM in memory": disk["ssim"]
            / (disk["reading"] + disk["memory"]),
            "SSIM map of a view, ms": view["seconds"] * 1e3,
        },
    )


def _run(how: str, side: int) -> dict[str, float] | None:
    command = [sys.executable, "-m", "benchmarks.compare", how, str(side)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == _ABSENT:
        return None
    if done.returncode:
        raise SystemExit(f"{how} failed:\n{done.stderr}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


_ABSENT = 77


def _pair(side: int) -> tuple[np.ndarray, np.ndarray]:
    """An image with structure at all scales and a noisy copy, (3, y, x) uint8."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    base = np.stack([120 + 60 * np.sin(y / (9 + k)) + 60 * np.sin(x / (31 - k)) for k in range(3)])
    noisy = base + rng.normal(0, 12, base.shape).astype(np.float32)
    return base.clip(0, 255).astype(np.uint8), noisy.clip(0, 255).astype(np.uint8)


def _best(work: Callable[[], float], rounds: int = 3) -> dict[str, float]:
    """The quickest of several runs, with the memory of the first."""
    runs = [_timed(work) for _ in range(rounds)]
    return min(runs, key=lambda run: run["seconds"]) | {"memory": runs[0]["memory"]}


def _timed(work: Callable[[], float]) -> dict[str, float]:
    before = _peak_from_now()
    start = time.perf_counter()
    value = float(work())
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory": max(_peak() - before, 0), "value": value}


def ours(side: int) -> dict[str, float]:
    """SSIM by this package, kernels compiled."""
    import napari_tincture as nt

    pair = _pair(side)
    nt.compare(*(nt.Raster.from_array(v, "cyx") for v in _pair(1500)), metrics=["ssim"])
    rasters = [nt.Raster.from_array(v, "cyx") for v in pair]
    return _best(lambda: nt.compare(*rasters, metrics=["ssim"], channels="mean").table[0]["ssim"])


def torch(side: int) -> dict[str, float]:
    """The same without numba."""
    import torch as library

    from napari_tincture.metrics import sums, windows

    library.set_num_threads(1)  # blocks run side by side
    windows.fused = sums.fused = lambda: False  # type: ignore[assignment]
    return ours(side)


def skimage(side: int) -> dict[str, float]:
    """What most people call."""
    from skimage.metrics import structural_similarity

    a, b = _pair(side)
    return _best(lambda: structural_similarity(b, a, channel_axis=0))


def torchmetrics(side: int) -> dict[str, float]:
    """Uniform windows of 7 × 7 in float32."""
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure as ssim
    except ImportError:
        raise SystemExit(_ABSENT) from None
    import torch as library

    a, b = (library.from_numpy(v).float()[None] for v in _pair(side))
    options: dict[str, Any] = {"gaussian_kernel": False, "kernel_size": 7, "data_range": 255.0}
    return _best(lambda: ssim(a, b, **options).item())


def monai(side: int) -> dict[str, float]:
    """Uniform windows of 7 × 7 in float32."""
    try:
        from monai.metrics import SSIMMetric
    except ImportError:
        raise SystemExit(_ABSENT) from None
    import torch as library

    a, b = (library.from_numpy(v).float()[None] for v in _pair(side))
    metric = SSIMMetric(2, data_range=255.0, kernel_type="uniform", win_size=7)
    return _best(lambda: metric(a, b).item())


def disk(side: int) -> dict[str, float]:
    """Errors and SSIM of two OME-Zarr images of one channel, and what reading them costs."""
    import napari_tincture as nt
    from napari_tincture.metrics.stream import Survey, survey
    from napari_tincture.metrics.sums import SUMS
    from napari_tincture.progress import CancelToken
    from napari_tincture.regrid import OnGrid

    arrays = [v[0] for v in _pair(side)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.ome.zarr" for name in "ab"]
        for path, array in zip(paths, arrays, strict=True):
            nt.Raster.from_array(array, "yx").save(path)
        images = [nt.open_image(path) for path in paths]
        in_memory = [nt.Raster.from_array(array, "yx") for array in arrays]
        nt.compare(*(nt.Raster.from_array(v[:256, :256], "yx") for v in arrays))
        chunks = images[0].data.chunks

        def read_only() -> float:
            class Nothing(type(SUMS)):  # type: ignore[misc]
                def measure(self, block: Any) -> Any:
                    return np.zeros((1, 13))

            windows = [OnGrid(image, np.eye(3), (side, side)) for image in images]
            plan = Survey(
                shape=(side, side), images=windows[:1], reference=windows[1], channels=[0],
                statistics=[Nothing()], data_range=255.0, chunks=(chunks[0], chunks[1]),
            )  # fmt: skip
            survey(plan, lambda *_: None, CancelToken())
            return 0.0

        errors = ["psnr", "mse", "pearson"]
        works: dict[str, Callable[[], float]] = {
            "reading": read_only,
            "errors": lambda: nt.compare(*images, metrics=errors).table[0]["mse"],
            "ssim": lambda: nt.compare(*images, metrics=["ssim"]).table[0]["ssim"],
            "memory": lambda: nt.compare(*in_memory, metrics=["ssim"]).table[0]["ssim"],
        }
        for work in works.values():  # files come from the cache in all of them
            work()
        return {
            name: min(_timed(work)["seconds"] for _ in range(3)) for name, work in works.items()
        }


def view(side: int) -> dict[str, float]:
    """The SSIM map of what a window shows."""
    import napari_tincture as nt

    a, b = (nt.Raster.from_array(v[0], "yx") for v in _pair(4 * side))
    lazy = nt.compare(a, b, metrics=["ssim"], maps=True).maps["image 1", "ssim"]
    window = slice(side, 2 * side), slice(side, 2 * side)
    lazy.read(window)
    return _best(lambda: lazy.read(window).mean(), rounds=5)


def _peak_from_now() -> int:
    """Forget the peak so far, where the system can; bytes of memory that are held."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    return _peak()


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text("ascii").splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    print(json.dumps(globals()[sys.argv[1]](int(sys.argv[2]))))
