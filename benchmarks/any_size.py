"""Slides of any size: planning, memory, writing, resuming, and two processes instead of one."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import napari_tincture as nt
from benchmarks.limits import LIMITS
from napari_tincture import samples
from napari_tincture.device import allocator_environment, tune_allocator
from napari_tincture.io.layout import Layout
from napari_tincture.models import Channel, Model, ModelCard, Normalisation

MIB = 2**20
SHIPPED = "phase-to-dapi"


class VirtualSlide:
    """An image of any size that is computed where it is read."""

    ndim, dtype = 2, np.dtype(np.uint8)

    def __init__(self, side: int) -> None:
        self.shape = (side, side)

    def __getitem__(self, index: tuple[slice, slice]) -> np.ndarray:
        y, x = (np.arange(s.start, s.stop, dtype=np.uint32) for s in index)
        return (((y * y) >> 12)[:, None] + ((x * x) >> 12)[None]).astype(np.uint8)


def light_model() -> Model:
    """One convolution: what is left of a run is reading, tiling and writing."""
    torch.manual_seed(0)
    card = ModelCard(
        name="light", task="stain", architecture="conv", inputs=(Channel("in"),),
        outputs=(Channel("out"),), normalisation=Normalisation("dtype"),
    )  # fmt: skip
    return Model(nn.Conv2d(1, 1, 3, padding=1), card)


def print_any_size(size: int) -> None:
    """Everything, each in processes of its own."""
    print("## Any size\n")
    print("| | | measured | limit | |")
    print("|---|---|---|---|---|", flush=True)
    for part in (
        _planning,
        _memory_and_resume,
        partial(_processes, size),
        partial(_writing, 4 * size),
    ):
        for name, (detail, value) in part().items():
            side, bound = LIMITS["any size"][name]
            kept = value <= bound if side == "at most" else value >= bound
            verdict = "kept" if kept else "MISSED"
            print(f"| {name} | {detail} | {value:.3g} | {side} {bound:g} | {verdict} |", flush=True)
    print(flush=True)


def _planning() -> dict[str, tuple[str, float]]:
    plan = run(how="plan", side=100_000)
    tiles = f"{plan['tiles']} tiles"
    return {
        "planning 100,000², seconds": (tiles, plan["seconds"]),
        "planning 100,000², MB": (tiles, plan["mb"]),
    }


def _memory_and_resume() -> dict[str, tuple[str, float]]:
    """Three sizes of a virtual slide with one convolution, the largest killed at half."""
    # Which buffers are full at the same moment is chance: the largest of some runs is the peak.
    peaks = [max(_peak_of(side) for _ in range(3)) for side in (4096, 16_384)]
    with tempfile.TemporaryDirectory() as folder:
        killed = run(how="save", side=65_536, folder=folder, kill_at=0.5)
        again = run(how="save", side=65_536, folder=folder)
    peaks.append(max(killed["peak"], again["peak"]) / MIB)
    sizes = " / ".join(f"{peak:.0f}" for peak in peaks) + " MiB"
    tiles = f"65,536² killed after {killed['done']} tiles, continued after {again['done']}"
    twice = 100 * (1 - again["done"] / killed["done"])
    return {
        "peak memory, 4k / 16k / 64k, largest ratio": (sizes, max(peaks) / min(peaks)),
        "tiles computed again after a kill at half, %": (tiles, twice),
    }


def _peak_of(side: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        found: float = run(how="save", side=side, folder=folder)["peak"] / MIB
        return found


def _writing(side: int) -> dict[str, tuple[str, float]]:
    """The shipped model over the sample mosaic, with and without a sharded pyramid on disk."""
    with tempfile.TemporaryDirectory() as folder:
        kept = run(how="save", side=side, folder=folder, model=SHIPPED)["seconds"]
    thrown = run(how="nowhere", side=side, model=SHIPPED)["seconds"]
    detail = f"{side}²: {kept:.0f} s / {thrown:.0f} s"
    return {"to sharded OME-Zarr / without writing": (detail, kept / thrown)}


def _processes(side: int) -> dict[str, tuple[str, float]]:
    """What a second single-threaded process gains: for us, and for the bare network."""
    bare_one = _bare(side, 1)
    bare_two = _bare(side, 2)
    one = run(how="cluster", side=side, workers=1)["seconds"]
    two = run(how="cluster", side=side, workers=2)["seconds"]
    detail = f"{one:.1f} s / {two:.1f} s, bare {bare_one:.1f} s / {bare_two:.1f} s"
    gain = (one / two) / (bare_one / bare_two)
    return {"gain of a second process / that of the bare network": (detail, gain)}


def _bare(side: int, processes: int) -> float:
    """Seconds in which single-threaded processes run the network over an image's tiles."""
    share = {"how": "bare", "side": side, "parts": processes}
    running = [_start(**share) for _ in range(processes)]
    return max(float(_result(process)["seconds"]) for process in running)


def run(**options: Any) -> dict[str, Any]:
    """Do one thing in a process of its own; what it has found."""
    return _result(_start(**options))


def _start(**options: Any) -> subprocess.Popen[str]:
    threads = "1" if options["how"] in ("bare", "cluster") else str(os.cpu_count())
    environment = {**os.environ, **allocator_environment(), "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-m", "benchmarks.any_size", json.dumps(options)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{process.args} failed:\n{errors}")
    result: dict[str, Any] = json.loads(said.splitlines()[-1])
    return result


def plan(side: int) -> dict[str, Any]:
    """Everything that is done before the first tile is read."""
    model = light_model()
    nt.stain(VirtualSlide(512), model)  # measures the network, imports what is needed
    tracemalloc.start()
    start = time.perf_counter()
    result = nt.stain(VirtualSlide(side), model)
    layout = Layout.of(result)
    areas = len(layout.areas)
    seconds = time.perf_counter() - start
    mb = tracemalloc.get_traced_memory()[1] / 1e6
    return {"seconds": seconds, "mb": mb, "tiles": result.data.npartitions, "areas": areas}


def save(
    side: int, folder: str, model: str | None = None, kill_at: float | None = None
) -> dict[str, Any]:
    """Stain a slide to disk, or be killed on the way."""
    told: list[int] = []

    def progress(done: int, total: int) -> None:
        told.append(done)
        if kill_at is not None and done >= kill_at * total:
            print(json.dumps({"done": done, "peak": _peak()}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    result = _stained(side, model)
    start = time.perf_counter()
    result.save(Path(folder) / "result.ome.zarr", progress=progress)
    return {"seconds": time.perf_counter() - start, "done": told[0], "peak": _peak()}


def nowhere(side: int, model: str) -> dict[str, Any]:
    """Stain a slide and let the result go."""
    result = _stained(side, model)
    start = time.perf_counter()
    result.stream(lambda *_: None)
    return {"seconds": time.perf_counter() - start}


def cluster(side: int, workers: int) -> dict[str, Any]:
    """Stain a slide on single-threaded workers, once they are warm."""
    from distributed import Client, LocalCluster

    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None,
            env=allocator_environment(),
        ) as local,
        Client(local) as client,
    ):  # fmt: skip
        client.run(tune_allocator)
        _stained(2048 * workers, SHIPPED).save(Path(folder) / "warm.ome.zarr", client=client)
        result = _stained(side, SHIPPED)
        start = time.perf_counter()
        result.save(Path(folder) / "result.ome.zarr", client=client)
        return {"seconds": time.perf_counter() - start}


def bare(side: int, parts: int) -> dict[str, Any]:
    """The network over this process's part of the tiles, inputs ready."""
    torch.set_num_threads(1)
    tune_allocator()
    result = _stained(side, SHIPPED)
    job: Any = result.runner.job  # type: ignore[union-attr]
    tiles = list(job.grid)[: len(job.grid) // parts]
    values = job.values_of(job.inputs.planes[0])
    window = job.load((job.inputs.planes[0], tiles[len(tiles) // 2]), values)
    with job.engine.session():
        job.engine.network(window)
        start = time.perf_counter()
        for _ in tiles:
            job.engine.network(window)
    return {"seconds": time.perf_counter() - start}


def _stained(side: int, model: str | None) -> nt.Raster:
    if model is None:
        return nt.stain(VirtualSlide(side), light_model(), dtype="uint8")
    return nt.stain(samples.mosaic(side), model)


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    tune_allocator()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    chosen = json.loads(sys.argv[1])
    print(json.dumps(globals()[chosen.pop("how")](**chosen)))
