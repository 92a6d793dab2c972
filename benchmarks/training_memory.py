"""Peak memory of a training step by the size of its crops, with and without recomputing.

``python -m benchmarks.training_memory '{"kind": "CycleGAN", …}'`` takes one step and prints one
JSON line; `print_training_memory` takes all, each in a process of its own.

On the CPU, memory is the largest resident set of the process less what it was before the networks
were built: weights, gradients, the optimisers' and the averaged weights, and activations, with
the system's own allocator settings. On CUDA it is what torch had allocated at most.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from napari_tincture.device import allocator_environment
from napari_tincture.training.loop import Trainer
from napari_tincture.training.presets import preset
from napari_tincture.training.stages import Stage
from napari_tincture.training.translate import Run, make_trainer

MIB, GIB = 2**20, 2**30
KINDS: Mapping[str, dict[str, Any]] = {
    "CycleGAN": {"family": "cyclegan"},
    "U-GAT-IT light": {"family": "ugatit", "networks": {"light": True}},
    "coarse to fine, the coarse stage": {
        "family": "cyclegan", "coarse_to_fine": True,
        "stages": (Stage("coarse", "inner", 1), Stage("both", "all")),
    },
    "coarse to fine, all together": {
        "family": "cyclegan", "coarse_to_fine": True, "stages": (Stage("both", "all"),),
    },
}  # fmt: skip
SIZES = {16: "tiny", 64: "standard"}
"""Presets by the width of their first layers: 6 residual blocks, and 9 as published."""
LONGEST = 60.0
"""Seconds that a step may take by estimate."""
MOST = 20 * GIB
"""Bytes that a step on the CPU may take by estimate."""


@dataclass(frozen=True)
class Step:
    """What one step took: bytes and seconds."""

    peak: float
    seconds: float


def run(kind: str, width: int, side: int, recompute: bool, device: str = "cpu") -> dict[str, float]:
    """One step on random crops."""
    before = _resident_peak()
    settings = {**KINDS[kind], "size": SIZES[width], "crop": side, "recompute": recompute}
    trainer = make_trainer(preset(**settings, steps=1000), Run(device=device))
    _fill_optimisers(trainer)
    images = torch.rand(2, 1, 3, side, side) * 2 - 1
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    trainer.advance(lambda _: {"a": images[0], "b": images[1]})
    seconds = time.perf_counter() - start
    cuda = device.startswith("cuda")
    peak = torch.cuda.max_memory_allocated() if cuda else _resident_peak() - before
    return {"peak": peak, "seconds": seconds}


def _fill_optimisers(trainer: Trainer) -> None:
    """Let optimisers have the memories that they have from the second step on."""
    for group in trainer.groups.values():
        group.begin(0.0)
        for parameter in group.parameters:
            parameter.grad = torch.zeros_like(parameter)
        group.optimiser.step()
        group.optimiser.zero_grad(set_to_none=True)


def _resident_peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def print_training_memory(
    sides: Sequence[int] = (256, 512, 1024, 2048),
    widths: Sequence[int] = (16, 64),
    device: str = "cpu",
) -> None:
    """All kinds, at all widths and sides that an estimate allows."""
    print(f"## Peak memory of a training step, batch 1, float32, {device}\n")
    print("| networks | width | side of the crops | MiB | recomputing, MiB | less | s | s |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        known: dict[bool, tuple[int, int, Step]] = {}
        for width in sorted(widths):
            for side in sorted(sides):
                found = {again: _tried(known, kind, width, side, again, device)
                         for again in (False, True)}  # fmt: skip
                print(
                    f"| {kind} | {width} | {side} | {_row(found[False], found[True])} |", flush=True
                )
    print()


def _tried(
    known: dict[bool, tuple[int, int, Step]], kind: str, width: int, side: int, again: bool,
    device: str,
) -> Step | str:  # fmt: skip
    """A step's memory, or why it was not taken."""
    if again in known:
        reason = _too_much(*known[again], width, side, device)
        if reason:
            return reason
    try:
        options = {"kind": kind, "width": width, "side": side, "recompute": again}
        step = Step(**_measured({**options, "device": device}))
    except MemoryError:
        return "out of memory"
    known[again] = (width, side, step)
    return step


def _too_much(
    old_width: int, old_side: int, step: Step, width: int, side: int, device: str
) -> str | None:
    """Work grows with the width's square, memory with the width, both with the area."""
    area, wider = (side / old_side) ** 2, width / old_width
    seconds, peak = step.seconds * area * wider**2, step.peak * area * wider
    if seconds > LONGEST:
        return f"– (about {seconds:.0f} s)"
    if device == "cpu" and peak > MOST:
        return f"– (about {peak / GIB:.0f} GiB)"
    return None


def _row(plain: Step | str, again: Step | str) -> str:
    sizes = [f"{s.peak / MIB:.0f}" if isinstance(s, Step) else s for s in (plain, again)]
    seconds = [f"{s.seconds:.1f}" if isinstance(s, Step) else "–" for s in (plain, again)]
    less = "–"
    if isinstance(plain, Step) and isinstance(again, Step):
        less = f"{plain.peak / max(again.peak, 1):.2f} ×"
    return " | ".join([*sizes, less, *seconds])


def _measured(options: Mapping[str, Any]) -> dict[str, float]:
    environment = dict(os.environ)
    # Tuned for speed, the allocator keeps what was freed.
    for name in allocator_environment():
        environment.pop(name, None)
    command = [sys.executable, "-m", "benchmarks.training_memory", json.dumps(dict(options))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "out of memory" in done.stderr or done.returncode == -9:
        raise MemoryError
    if done.returncode:
        raise SystemExit(f"{dict(options)} failed:\n{done.stderr}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    warnings.simplefilter("ignore", FutureWarning)  # of torch's classic spectral norm
    print(json.dumps(run(**json.loads(sys.argv[1]))))
