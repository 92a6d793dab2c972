"""``python -m benchmarks [--size 4096] [--rounds 3] [--only startup,live,speed,…]``.

``--only training-memory [--sides 256,512] [--widths 16]`` is asked for by name alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.any_size import print_any_size
from benchmarks.compare import print_compare
from benchmarks.generators import print_generators, print_generators_cuda
from benchmarks.limits import LIMITS
from benchmarks.live import print_live
from benchmarks.segmentation_parts import print_segmentation_parts
from benchmarks.startup import print_startup
from benchmarks.strips import print_strips
from benchmarks.synthesis import print_synthesis
from benchmarks.training import print_training
from benchmarks.training_memory import print_training_memory
from napari_tincture.device import allocator_environment
from napari_tincture.display import virtual_display

GIB = 2**30
GENERATOR = str(Path(__file__).parent / "weights" / "phase-to-dapi-generator.safetensors")
MODELS = ("phase-to-dapi", GENERATOR)
SECTIONS = (
    "startup", "live", "compare", "speed", "memory", "any", "training", "segmentation",
    "synthesis", "strips", "generators", "cuda",
)  # fmt: skip
Result = dict[str, Any]


def main() -> None:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="side of the image in pixels")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--sides", default="256,512,1024,2048", help="of training crops, in pixels")
    parser.add_argument("--widths", default="16,64", help="of networks in training")
    options = parser.parse_args()
    chosen = options.only.split(",")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores\n")
    if "startup" in chosen:
        with virtual_display():
            print_startup()
    if "live" in chosen:
        print_live()
    if "compare" in chosen:
        print_compare(options.size)
    if "speed" in chosen:
        for model in MODELS:
            print_speed(model, options.size, options.rounds, "cpu")
    if "memory" in chosen:
        print_memory(options.size)
    if "any" in chosen:
        print_any_size(options.size)
    if "training" in chosen:
        print_training(options.rounds)
    if "segmentation" in chosen:
        print_segmentation_parts()
    if "synthesis" in chosen:
        print_synthesis()
    if "strips" in chosen:
        print_strips()
    if "generators" in chosen:
        print_generators()
    if "training-memory" in chosen:
        _print_training_memory(options.sides, options.widths)
    if "cuda" in chosen:
        _print_cuda(options.size, options.rounds)


def _print_training_memory(sides: str, widths: str) -> None:
    import torch

    cases = [int(side) for side in sides.split(",")], [int(width) for width in widths.split(",")]
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        print_training_memory(*cases, device)


def _print_cuda(size: int, rounds: int) -> None:
    import torch

    if not torch.cuda.is_available():
        print("No CUDA device: its section is left out.\n")
        return
    from benchmarks.cuda import print_cuda

    for model in MODELS:
        print_speed(model, size, rounds, "cuda")
    print_cuda()
    print_generators_cuda()


def measure(*, tuned: bool = True, **options: Any) -> Result:
    """Run one contender in a process of its own."""
    environment = dict(os.environ)
    for name in allocator_environment():
        environment.pop(name, None)
    if tuned:
        environment |= allocator_environment()
    command = [
        sys.executable,
        "-m",
        "benchmarks.contender",
        json.dumps({**options, "tuned": tuned}),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{options} failed:\n{done.stderr}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def print_speed(model: str, size: int, rounds: int, device: str) -> None:
    """One network, all contenders, interleaved."""
    with tempfile.TemporaryDirectory() as folder:
        whole = str(Path(folder) / "whole.npy")
        common: Result = {"model": model, "size": size, "device": device}
        print(f"## {model}, {size} × {size} pixels, {device}\n", flush=True)
        facts = json.loads(
            subprocess.run(
                [sys.executable, "-c", _FACTS.format(model=model, size=size)],
                capture_output=True, text=True, check=True,
            ).stdout
        )  # fmt: skip
        print(
            f"{facts['tiles']} tiles, halo {facts['halo']} px, windows hold "
            f"{facts['share']:.2f} × the pixels of the image\n"
        )
        measure(how="whole", whole=whole, **common)
        contenders = _contenders(whole)
        seconds: dict[str, list[Result]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, options in contenders.items():
                seconds[name].append(measure(**common, **options))
        _print_table(seconds, size)
        _print_verdict(seconds, bool(facts["sites"]))


_FACTS = (
    "import json, napari_tincture as nt; from benchmarks.contender import halo_share; "
    "from napari_tincture.tiling.reach import reach_of; "
    "print(json.dumps(halo_share({model!r}, {size}) | "
    "dict(sites=len(reach_of(nt.load_model({model!r})).sites))))"
)


def _contenders(whole: str) -> dict[str, Result]:
    raw = {
        f"raw forward, {tile} px, no overlap": {"how": "raw", "tile": tile}
        for tile in (512, 1024, 2048)
    }
    return {
        **raw,
        "raw forward over our windows": {"how": "windows"},
        "tincture": {"how": "stream", "whole": whole},
        "tincture, bfloat16": {"how": "stream", "whole": whole, "precision": "bfloat16"},
        "MONAI, overlap 0.25": {"how": "monai", "overlap": 0.25, "whole": whole, "tuned": False},
        "MONAI, overlap 0.5": {"how": "monai", "overlap": 0.5, "whole": whole, "tuned": False},
        "MONAI, overlap 0.25, our allocator": {"how": "monai", "overlap": 0.25, "whole": whole},
        "MONAI, overlap 0.5, our allocator": {"how": "monai", "overlap": 0.5, "whole": whole},
    }


def _seconds(results: list[Result]) -> float:
    return statistics.median(r["seconds"] for r in results)


def _print_table(measured: dict[str, list[Result]], size: int) -> None:
    ours = _seconds(measured["tincture"])
    print("| | seconds | Mpx/s | × tincture | peak GiB | max error | / output std |")
    print("|---|---|---|---|---|---|---|")
    for name, results in measured.items():
        seconds, last = _seconds(results), results[-1]
        error = "– | –"
        if "max" in last:
            error = f"{last['max']:.2g} | {last['max'] / last['std']:.2g}"
        peak = max(r["peak"] for r in results) / GIB
        speed = size * size / seconds / 1e6
        print(
            f"| {name} | {seconds:.2f} | {speed:.2f} | {seconds / ours:.2f} "
            f"| {peak:.2f} | {error} |"
        )
    print(flush=True)


def _print_verdict(measured: dict[str, list[Result]], has_context: bool) -> None:
    """Ratios beside the limits of `benchmarks/limits.py`."""
    limits = LIMITS["context" if has_context else "local"]
    ours = _seconds(measured["tincture"])
    best = min(_seconds(r) for name, r in measured.items() if "no overlap" in name)
    monai = _seconds(measured["MONAI, overlap 0.25"])
    error = max(r["max"] / r["std"] for r in measured["tincture"])
    found = {
        "seconds / best raw forward": ours / best,
        "seconds / raw forward over our windows": ours
        / _seconds(measured["raw forward over our windows"]),
        "MONAI (0.25) seconds / ours": monai / ours,
        "MONAI (0.25, our allocator) seconds / ours": _seconds(
            measured["MONAI, overlap 0.25, our allocator"]
        )
        / ours,
        "MONAI (0.25) seconds / ours in bfloat16": monai / _seconds(measured["tincture, bfloat16"]),
        "max |tiled − whole| / output std": error,
    }
    print("| ratio | measured | limit | |")
    print("|---|---|---|---|")
    for name, value in found.items():
        limit = limits.get(name)
        if limit is None:
            print(f"| {name} | {value:.3g} | – | |")
            continue
        side, bound = limit
        kept = value <= bound if side == "at most" else value >= bound
        print(f"| {name} | {value:.3g} | {side} {bound:g} | {'kept' if kept else 'MISSED'} |")
    print(flush=True)


def print_memory(size: int) -> None:
    """Peak memory of stain and save, for one image and for one of sixteen times its area."""
    print("## Peak memory of `stain(…).save(…)` to disk, phase-to-dapi\n")
    print("| image | seconds | peak GiB |")
    print("|---|---|---|")
    peaks = []
    for side in (size, 4 * size):
        with tempfile.TemporaryDirectory() as folder:
            found = measure(how="to_disk", model=MODELS[0], size=side, path=folder)
        peaks.append(found["peak"])
        print(
            f"| {side} × {side} | {found['seconds']:.1f} | {found['peak'] / GIB:.3f} |", flush=True
        )
    growth = peaks[1] / peaks[0]
    side, bound = LIMITS["memory"]["peak, sixteen times the area"]
    print(
        f"\nRatio {growth:.3f}, limit {side} {bound}: {'kept' if growth <= bound else 'MISSED'}\n"
    )


if __name__ == "__main__":
    main()
