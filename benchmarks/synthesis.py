"""What drawing costs beside the network's own forward passes.

``python -m benchmarks --only synthesis`` measures in this process, on all its cores. Ours and the
plain loop over the same network alternate, so that a busy machine slows both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import napari_tincture as nt
from benchmarks.verdict import print_verdict
from napari_tincture import samples
from napari_tincture.models.card import Channel, ModelCard
from napari_tincture.models.denoising import Denoising
from napari_tincture.models.model import Model
from napari_tincture.models.registry import DENOISERS, build_network
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster
from napari_tincture.torch_settings import full_precision

MODEL = "em-tissue"
PLAIN: dict[str, Any] = {"sampler": "ddim", "guidance": 1.0}
"""One forward pass per step."""
SIDE, STEPS, ROUNDS = 256, 40, 5
SDM_SIDE, SDM_STEPS = 128, 20
LARGE, LARGE_STEPS = 1024, 8
HUGE, HUGE_STEPS, CHANGED = 2048, 4, 128


def print_synthesis(name: str = MODEL) -> None:
    """Print what was measured beside the limits."""
    model = nt.load_model(name)
    print(f"## Drawing with {name}, {torch.get_num_threads()} threads\n")
    one = forward_seconds(model)
    print_verdict("synthesis", _small(model, one) | _published() | _large(model) | _changed(model))


def forward_seconds(model: Model, side: int = SIDE, rounds: int = 3) -> Callable[[], float]:
    """Seconds of one forward pass of a window, measured anew at each call."""
    network = model.network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    card = model.card
    image = torch.zeros(1, len(card.outputs), side, side)
    condition = torch.zeros(1, len(card.inputs), side, side)
    level = torch.full((1,), 0.5)

    def seconds() -> float:
        with torch.inference_mode(), full_precision():
            network(image, level, condition)
            start = time.perf_counter()
            for _ in range(rounds):
                network(image, level, condition)
        return (time.perf_counter() - start) / rounds

    return seconds


def _small(model: Model, forward: Callable[[], float]) -> dict[str, float]:
    """One window: the sampler beside the passes it makes."""
    labels = np.asarray(samples.tissue_map(SIDE))
    ours, passes, first = [], [], []
    for _ in range(ROUNDS):
        before = forward()
        shown = Shown()
        seconds = _seconds(_drawn(model, labels, STEPS, shown))
        ours.append(seconds)
        passes.append(STEPS * (before + forward()) / 2)
        first.append(shown.seconds)
    shares = [whole / net for whole, net in zip(ours, passes, strict=True)]
    return {
        f"{SIDE}², {STEPS} steps, seconds": statistics.median(ours),
        f"{SIDE}², as the model draws best, seconds": _seconds(nt.synthesize(labels, model)),
        "its forward passes alone, seconds": statistics.median(passes),
        "sampler beyond the forward passes, share": statistics.median(shares) - 1,
        "first preview, seconds": statistics.median(first),
    }


def _published() -> dict[str, float]:
    """The layout of Semantic Diffusion Models, narrower, whose norms remember the map."""
    options = {"in_channels": 7, "image_channels": 1, "out_channels": 2, "num_channels": 64}
    network = build_network("semantic_diffusion", options, DENOISERS)
    card = ModelCard(
        name="sdm", task="synthesize", architecture="semantic_diffusion", options=options,
        inputs=tuple(Channel(str(i), source="class", value=i) for i in range(7)),
        outputs=(Channel("grey"),), output_range=(-1.0, 1.0), stride=network.stride,
        denoising=Denoising(
            schedule={"name": "linear", "steps": 1000}, predicts="noise", time="index",
            variance="learned", window=SDM_SIDE, overlap=0,
        ),
    )  # fmt: skip
    model = Model(network, card)
    forward, labels = forward_seconds(model, SDM_SIDE), np.asarray(samples.tissue_map(SDM_SIDE))
    shares = []
    for _ in range(ROUNDS):
        before = forward()
        seconds = _seconds(_drawn(model, labels, SDM_STEPS))
        shares.append(seconds / (SDM_STEPS * (before + forward()) / 2))
    return {"layout of SDM: drawing / its forward passes alone": statistics.median(shares)}


def _large(model: Model) -> dict[str, float]:
    """A canvas of fused windows beside the passes of its area, without the smaller drawing."""
    card = model.card
    assert card.denoising is not None
    plain = model.with_card(card.replace(denoising=replace(card.denoising, coarse=1)))
    forward = forward_seconds(model)
    before = forward()
    seconds = _seconds(_drawn(plain, np.asarray(samples.tissue_map(LARGE)), LARGE_STEPS))
    one = (before + forward()) / 2
    return {"fused canvas / forward passes of its area": seconds / (
        LARGE_STEPS * one * (LARGE / SIDE) ** 2
    )}  # fmt: skip


def _changed(model: Model) -> dict[str, float]:
    """A change in a large image beside the whole."""
    labels = np.asarray(samples.tissue_map(HUGE))
    scene = _drawn(model, labels, HUGE_STEPS)
    whole = _seconds(scene)
    changed = labels.copy()
    middle = slice((HUGE - CHANGED) // 2, (HUGE + CHANGED) // 2)
    changed[middle, middle] = (changed[middle, middle] + 1) % 6
    part = _seconds(nt.repaint(scene, changed))
    return {f"{CHANGED}² changed in {HUGE}² / whole": part / whole}


class Shown:
    """How long it took until there was something to see."""

    def __init__(self) -> None:
        self.seconds, self._start = float("nan"), time.perf_counter()

    def __call__(self, *_: Any) -> None:
        """Hear of a preview."""
        if np.isnan(self.seconds):
            self.seconds = time.perf_counter() - self._start


def _drawn(
    model: Model, labels: NDArray[np.uint8], steps: int, shown: Shown | None = None
) -> Raster:
    result = nt.synthesize(labels, model, **PLAIN, steps=steps, pixel_size="ignore")
    if shown is not None:
        result.runner.show = shown  # type: ignore[union-attr]
    return result


def _seconds(result: Raster) -> float:
    """Seconds until all of a result is there."""
    start = time.perf_counter()
    result.compute(cancel=CancelToken())
    return time.perf_counter() - start
