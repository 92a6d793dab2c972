"""A field stained as fragments, reduced, or whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

import napari_tincture as nt
from napari_tincture.models.model import Model

CROP = 256
Image = NDArray[np.float32]


def stained(model: Model, source: NDArray[np.generic], way: str) -> Image:
    """A field (c, y, x) stained in one of the three ways; values 0 … 1."""
    low, high = model.card.output_range
    if way == "whole":
        image = nt.open_image(np.ascontiguousarray(source), axes="cyx")
        channels = list(range(len(source)))
        lazy = nt.stain(
            image, model, channels=channels, dtype="float32", samples=3, context="exact"
        )
        made = np.asarray(lazy)
    else:
        stats = model.measure(source)
        values = torch.from_numpy(np.ascontiguousarray(source).astype(np.float32))[None]
        made = WAYS[way](lambda part: _predicted(model, part, stats), values)
    return ((made - low) / (high - low)).astype(np.float32)


def _predicted(model: Model, values: torch.Tensor, stats: NDArray[np.float64]) -> torch.Tensor:
    noise = len(model.card.noise_inputs)
    if not noise:
        return model.predict(values, stats=stats)
    generator = torch.Generator().manual_seed(0)
    unchanged = np.tile(model.card.normalisation.unchanged, (noise, 1))
    draws = [torch.randn((1, noise, *values.shape[2:]), generator=generator) for _ in range(3)]
    rows = np.concatenate([stats[: values.shape[1]], unchanged])
    made = [model.predict(torch.cat([values, draw], 1), stats=rows) for draw in draws]
    return torch.stack(made).mean(0)


Predict = Callable[[torch.Tensor], torch.Tensor]


def _in_fragments(predict: Predict, values: torch.Tensor) -> Image:
    height, width = values.shape[2:]
    result: torch.Tensor | None = None
    for y in _starts(height):
        for x in _starts(width):
            part = predict(values[:, :, y : y + CROP, x : x + CROP])[0]
            if result is None:
                result = torch.zeros((len(part), height, width))
            result[:, y : y + CROP, x : x + CROP] = part
    assert result is not None
    return result.numpy()


def _starts(length: int) -> list[int]:
    return sorted({*range(0, max(length - CROP, 0), CROP), max(length - CROP, 0)})


def _reduced(predict: Predict, values: torch.Tensor) -> Image:
    def resized(image: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        return functional.interpolate(image, tuple(size), mode="bilinear", antialias=True)

    made = predict(resized(values, (CROP, CROP)))
    return resized(made, values.shape[2:])[0].numpy()


WAYS: Mapping[str, Callable[[Predict, torch.Tensor], Image]] = {
    "fragments": _in_fragments,
    "reduced": _reduced,
}
ARMS = (*WAYS, "whole")
