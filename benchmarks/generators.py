"""Inference of every architecture through `stream`, exact and blended, beside its raw forward.

``python -m benchmarks.generators '{"how": "exact", "case": 0, …}'`` runs one contender and prints
one JSON line; `print_generators` runs all, each in a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.generator_cases import FIELD, UNET_WIDTH, WIDTH, Result, cases, model_of
from benchmarks.limits import LIMITS
from napari_tincture import samples
from napari_tincture.device import allocator_environment, tune_allocator
from napari_tincture.models import Model
from napari_tincture.models.layers.fixed_size import blanks, fixed_parts, holding
from napari_tincture.tasks.channels import map_channels
from napari_tincture.tiling.cores import geometry_of
from napari_tincture.tiling.inputs import Inputs
from napari_tincture.tiling.job import Plan, TileJob
from napari_tincture.tiling.reach import reach_of
from napari_tincture.tiling.seam import compare_outputs
from napari_tincture.tiling.stream import stream

Times = tuple[float, float]
RAW_TILES = (512, 1024, 2048)
GIB = 2**30
NEAR = 100
"""Halo in pixels up to which tiles are cheap."""


def _inputs(model: Model, size: tuple[int, int]) -> Inputs:
    image = samples.mosaic(max(size), "blood_smear")
    image = image.crop({"y": slice(0, size[0]), "x": slice(0, size[1])})
    return map_channels(image, model.card)


class _Bench:
    """One network on one image: the ways to run it."""

    def __init__(self, case: Result, device: str = "cpu", published: bool = False) -> None:
        self.model, self.device = model_of(case, published), device
        self.inputs = _inputs(self.model, (case["size"][0], case["size"][1]))

    def whole(self) -> np.ndarray:
        """The network on the whole image; where its parts are held, or on a GPU, as one tile."""
        if fixed_parts(self.model.network) or self.device != "cpu":
            return self.stream("exact", core=max(self.inputs.shape))[0]
        height, width = self.inputs.shape
        geometry = reach_of(self.model).geometry
        ends = [(0, geometry.extended(side)) for side in (height, width)]
        values = self.inputs.mirrored(self.inputs.planes[0], ends[0], ends[1])
        found = self.model.predict(torch.from_numpy(values)[None], stats=self.model.measure(values))
        return found[0, :, :height, :width].numpy()

    def stream(self, seams: Any, core: Any = "auto") -> tuple[np.ndarray, TileJob]:
        """Our job into memory, reading included."""
        plan = Plan(core=core, context="exact", seams=seams, device=self.device)
        job = TileJob(self.inputs, self.model, plan)
        result = np.empty((len(self.model.card.outputs), *self.inputs.shape), np.float32)

        def write(item: Any, block: np.ndarray) -> None:
            result[(slice(None), *job.grid.place(item[1]))] = block

        stream(job, write)
        return result, job

    def raw(self, tile: int, side: int = 2048) -> Times:
        """Seconds per pixel of the network over a square without overlap, inputs ready."""
        job = TileJob(self.inputs, self.model, Plan(device=self.device))
        engine, count = job.engine, (side // tile) ** 2
        window = torch.rand(1, len(self.model.card.inputs), tile, tile) * 2 - 1
        window = engine.as_input(window.to(engine.device))
        with engine.session(), holding(engine.module, blanks(engine.module)):
            engine.network(window)
            times = timed(lambda: [engine.network(window) for _ in range(count)], self.device)
        return times[0] / (count * tile * tile), times[1] / (count * tile * tile)


def timed(work: Callable[[], Any], device: str) -> Times:
    """Seconds on the wall, and those of all this process's threads together."""
    start = time.perf_counter(), time.process_time()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def reference(case: Result, whole: str, **where: Any) -> Result:
    """The whole image's result into a file, and the raw forward's best tile."""
    bench = _Bench(case, **where)
    speeds = {tile: bench.raw(tile)[1] for tile in RAW_TILES}
    np.save(whole, bench.whole())
    geometry, sites = reach_of(bench.model).geometry, bool(reach_of(bench.model).sites)
    dear = geometry_of(reach_of(bench.model), "blend") != geometry
    best = min(speeds, key=lambda tile: speeds[tile])
    return {"tile": best, "halo": geometry.halo, "sites": sites, "dear": dear}


def tiled(case: Result, seams: str, whole: str, tile: int, rounds: int, **where: Any) -> Result:
    """Our job, in turns with the raw forward; the best of each, and how far off it is.

    The first round chooses kernels and maps pages: one round alone says nothing of time.
    """
    bench = _Bench(case, **where)
    ours, raw, peaks = [], [], []
    for _ in range(rounds):
        kept: list[tuple[np.ndarray, TileJob]] = []
        ours.append(timed(lambda: kept.append(bench.stream(seams)), bench.device))  # noqa: B023
        peaks.append(_peak(bench.device))  # the first: what follows includes the raw forward's
        raw.append(bench.raw(tile))
    values, job = kept[0]
    error = compare_outputs(values, np.load(whole, mmap_mode="r"))
    best, least = (tuple(map(min, zip(*times, strict=True))) for times in (ours, raw))
    pixels = values[0].size
    found = {
        "seconds": best[0], "pixels": pixels, "peak": peaks[0],
        "ratio": best[0] / pixels / least[0], "effort": best[1] / pixels / least[1],
        "max": error.relative_max, "mean": error.relative_mean, "tiles": len(job.grid),
        "share": job.grid.window_share,
        "core": max(job.grid.rows[0].core_size, job.grid.columns[0].core_size),
    }  # fmt: skip
    if job.blending.seams:
        seen = job.blending.seams.summary([], job.geometry.halo)
        found["apart"] = float((np.array(seen["max"]) / seen["std"]).max())
    return found


def _peak(device: str) -> int:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def print_generators(rounds: int = 2) -> None:
    """One table of all architectures on the CPU."""
    widths = f"{WIDTH} channels, {UNET_WIDTH} of U-Nets"
    print(f"## Inference of every generator, first convolution of {widths}, CPU\n")
    _print_table(cases(), rounds)


def print_generators_cuda(rounds: int = 3) -> None:
    """The same on a GPU: one field, published widths."""
    print(f"## Inference of every generator at published width, {FIELD[1]} × {FIELD[0]}, CUDA\n")
    fields = [{**case, "size": list(FIELD)} for case in cases()]
    once = {case["title"]: case for case in fields}
    _print_table(list(once.values()), rounds, device="cuda", published=True)


def _print_table(chosen: list[Result], rounds: int, **where: Any) -> None:
    verdicts = list(_rows(chosen, rounds, **where))
    print("\n| limit | |\n|---|---|")
    print("\n".join(verdicts), end="\n\n", flush=True)


_HEAD = (
    "network", "image", "halo", "tiles", "core", "windows / image", "s", "Mpx/s",
    "s / best raw", "CPU s / best raw", "peak GiB", "max error / std", "mean",
    "windows apart / std",
)  # fmt: skip


def _rows(chosen: list[Result], rounds: int, **where: Any) -> Iterator[str]:
    print("| " + " | ".join(_HEAD) + " |\n|" + "---|" * len(_HEAD))
    for case in chosen:
        with tempfile.TemporaryDirectory() as folder:
            given = {"case": case, "whole": str(Path(folder) / "whole.npy"), **where}
            known = _measured({"how": "reference", **given})
            for seams in ("exact", "blend") if known["dear"] else ("exact",):
                more = {"seams": seams, "tile": known["tile"], "rounds": rounds}
                found = _measured({"how": "tiled", **given, **more})
                _print_row(case, known, found, seams)
                yield from _verdicts(case, known, found, seams)
                if where and seams == "exact":
                    yield _verdict(case["title"], "seconds", found["seconds"], "cuda")


def _print_row(case: Result, known: Result, found: Result, seams: str) -> None:
    size = " × ".join(str(side) for side in reversed(case["size"]))
    apart = f"{found['apart']:.2g}" if "apart" in found else "–"
    cells = (
        f"{case['title']}, {seams}", size, known["halo"], found["tiles"], found["core"],
        f"{found['share']:.2f}", f"{found['seconds']:.2f}",
        f"{found['pixels'] / found['seconds'] / 1e6:.2f}", f"{found['ratio']:.2f}",
        f"{found['effort']:.2f}",
        f"{found['peak'] / GIB:.2f}", f"{found['max']:.2g}", f"{found['mean']:.2g}", apart,
    )  # fmt: skip
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def _verdicts(case: Result, known: Result, found: Result, seams: str) -> Iterator[str]:
    """Errors of all; times of those whose tiles are cheap by themselves or by choice."""
    limits = "context" if known["sites"] else "local"
    title = f"{case['title']}, {seams}"
    if seams == "exact":
        yield _verdict(title, "max |tiled − whole| / output std", found["max"], limits)
    if seams == "blend" or known["halo"] <= NEAR:
        limits = "blend" if seams == "blend" else limits
        yield _verdict(title, "seconds / best raw forward", found["ratio"], limits)


def _verdict(title: str, name: str, value: float, limits: str) -> str:
    side, bound = LIMITS[limits][name]
    kept = "kept" if value <= bound else "MISSED"
    return f"| {title}: {name} {value:.3g} | {side} {bound:g}: {kept} |"


def _measured(options: Result) -> Result:
    command = [sys.executable, "-m", "benchmarks.generators", json.dumps(options)]
    environment = os.environ | allocator_environment()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{options} failed:\n{done.stderr}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    tune_allocator()
    chosen = json.loads(sys.argv[1])
    run = reference if chosen.pop("how") == "reference" else tiled
    print(json.dumps(run(**chosen)))
