"""Iterations per second of training, beside the published formulation written plainly.

``python -m benchmarks.training '{"how": "ours", …}'`` runs one contender and prints one JSON line;
`print_training` runs all, interleaved, each in a process of its own.
"""

from __future__ import annotations

import copy
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.limits import LIMITS
from benchmarks.plain_steps import STEPS, plain
from napari_tincture.device import allocator_environment
from napari_tincture.training.memory import recompute
from napari_tincture.training.presets import preset
from napari_tincture.training.translate import Run, make_trainer
from napari_tincture.training.translation import TranslationRecipe

CASES = (
    {"family": "cyclegan", "width": 16, "side": 128},
    {"family": "cyclegan", "width": 16, "side": 256},
    {"family": "ugatit", "width": 16, "side": 128},
    {"family": "ugatit", "width": 16, "side": 256},
)
STEPS_TIMED = 6
MIB = 2**20


def recipe_of(family: str, width: int, side: int) -> TranslationRecipe:
    """The published settings with networks of another width, for squares of a side."""
    options = {"light": True} if family == "ugatit" else {}
    recipe = preset(family, "tiny", crop=side, steps=1000, networks=options, ema=0.0)
    parts = {
        name: replace(part, options={k: width if k in ("ngf", "ndf", "ch") else v
                                     for k, v in part.options.items()})
        for name, part in recipe.networks.items()
    }  # fmt: skip
    return recipe.replace(networks=parts)


def run(
    how: str, family: str, width: int, side: int, steps: int = STEPS_TIMED, device: str = "cpu"
) -> dict[str, Any]:
    """One contender: seconds per iteration, losses of the first, peak memory in bytes."""
    recipe = recipe_of(family, width, side)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((steps + 1, 2, 1, 3, side, side), generator=generator) * 2 - 1
    ours = how.startswith("ours")
    advance = _ours(how, recipe, device) if ours else _plain(recipe, device)
    before = _peak()
    first = advance(*images[0])
    seconds = []
    for a, b in images[1:]:
        start = time.perf_counter()
        advance(a, b)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() if device.startswith("cuda") else _peak() - before
    return {"seconds": min(seconds), "losses": first, "peak": peak}


def _ours(how: str, recipe: TranslationRecipe, device: str) -> Callable[..., Mapping[str, float]]:
    trainer = make_trainer(recipe, Run(device=device))
    if how == "ours, recomputing":
        for name in ("forward", "backward"):
            recompute(trainer.objective.networks[name])

    def advance(a: Tensor, b: Tensor) -> Mapping[str, float]:
        return trainer.advance(lambda _: {"a": a, "b": b})

    return advance


def _plain(recipe: TranslationRecipe, device: str) -> Callable[..., Mapping[str, float]]:
    trainer = make_trainer(recipe, Run())
    networks: dict[str, nn.Module] = {
        name: plain(copy.deepcopy(network)).to(memory_format=torch.contiguous_format).to(device)
        for name, network in trainer.objective.networks.items()
    }
    schedule = recipe.schedule
    optimisers = {
        group: torch.optim.Adam(
            [p for name in names for p in networks[name].parameters()],
            lr=schedule.lr, betas=schedule.betas, weight_decay=schedule.weight_decay,
        )
        for group, names in trainer.objective.groups.items()
    }  # fmt: skip
    for network in networks.values():
        network.train()
    step = STEPS[recipe.family](networks, optimisers)
    return lambda a, b: step(a.to(device), b.to(device))


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


CONTENDERS: Mapping[str, bool] = {
    "ours": True,
    "plain": False,
    "plain, our allocator": True,
    "ours, recomputing": True,
}
"""By name, and whether the process has our allocator's settings, as the training worker has."""


def print_training(rounds: int = 3, device: str = "cpu") -> None:
    """All cases and contenders."""
    print(f"## Training, batch 1, float32, {device}\n")
    print("| family | width | side | contender | s / iteration | peak memory, MiB |")
    print("|---|---|---|---|---|---|")
    ratios: dict[str, float] = {}
    for case in CASES:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for name, tuned in CONTENDERS.items():
                found[name].append(_measured({"how": name, "device": device, **case}, tuned))
        for name, results in found.items():
            seconds = statistics.median(result["seconds"] for result in results)
            peak = statistics.median(result["peak"] for result in results) / MIB
            row = f"| {case['family']} | {case['width']} | {case['side']} | {name}"
            print(f"{row} | {seconds:.3f} | {peak:.0f} |", flush=True)
        label = f"{case['family']} {case['side']}"
        ratios |= _ratios(label, found)
    print()
    for name, value in ratios.items():
        limit = next((v for key, v in LIMITS["training"].items() if name.endswith(key)), None)
        kept = "" if limit is None else _verdict(value, limit)
        print(f"- {name}: {value:.3g}{kept}")
    print()


def _ratios(label: str, found: Mapping[str, list[dict[str, Any]]]) -> dict[str, float]:
    best = {name: min(r["seconds"] for r in results) for name, results in found.items()}
    ours, theirs = found["ours"][0]["losses"], found["plain"][0]["losses"]
    apart = max(abs(ours[k] - theirs[k]) / max(abs(theirs[k]), 1e-9) for k in theirs)
    return {
        f"{label}: plain / ours": best["plain"] / best["ours"],
        f"{label}: plain, our allocator / ours": best["plain, our allocator"] / best["ours"],
        f"{label}: losses differ, relative": apart,
    }


def _verdict(value: float, limit: tuple[str, float]) -> str:
    kept = value <= limit[1] if limit[0] == "at most" else value >= limit[1]
    return f" ({limit[0]} {limit[1]:g}: {'kept' if kept else 'MISSED'})"


def _measured(options: Mapping[str, Any], tuned: bool) -> dict[str, Any]:
    environment = dict(os.environ)
    for name, value in allocator_environment().items():
        environment.pop(name, None)
        if tuned:
            environment[name] = value
    command = [sys.executable, "-m", "benchmarks.training", json.dumps(dict(options))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{dict(options)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    warnings.simplefilter("ignore", FutureWarning)  # of torch's classic spectral norm
    print(json.dumps(run(**json.loads(sys.argv[1]))))
