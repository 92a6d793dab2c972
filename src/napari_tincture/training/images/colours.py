"""Colour jitter: brightness, contrast, saturation and hue, in this order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_tincture.errors import InputError
from napari_tincture.training.images.augment import Augment

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey: Rec. ITU-R BT.601."""


@dataclass(frozen=True, slots=True)
class ColourShift:
    """Factors of brightness, contrast and saturation, and turns of the hue; drawn once, used often.

    Brightness multiplies values. Contrast scales their distance from the crop's mean grey,
    saturation that from each pixel's grey. Hue turns the colour circle of hue, saturation and
    value. Each step ends in the range of values.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    value_range: tuple[float, float] = (-1.0, 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        """Shift the colours of (c, y, x).

        Raises
        ------
        InputError
            If saturation or hue are to change and there are not 3 channels.
        """
        if (self.brightness, self.contrast, self.saturation, self.hue) == (1, 1, 1, 0):
            return x
        coloured = self.saturation != 1 or self.hue != 0
        if coloured and len(x) != 3:
            raise InputError(
                f"Saturation and hue need red, green and blue, got {len(x)} channels. Leave out "
                "saturation= and hue=; brightness and contrast work on any number."
            )
        low, high = self.value_range
        values = ((x - low) / (high - low)).clamp(0, 1) * self.brightness
        values = values.clamp(0, 1)
        mean = _grey(values).mean()
        values = (mean + (values - mean) * self.contrast).clamp(0, 1)
        if coloured:
            grey = _grey(values)
            values = (grey + (values - grey) * self.saturation).clamp(0, 1)
            values = _turned(values, self.hue) if self.hue else values
        return values * (high - low) + low


def draw_shift(augment: Augment, rng: np.random.Generator) -> ColourShift:
    """A shift within the limits of `augment`."""
    brightness, contrast, saturation = (
        max(1 + rng.uniform(-1, 1) * limit, 0.0) if limit else 1.0
        for limit in (augment.brightness, augment.contrast, augment.saturation)
    )
    turns = rng.uniform(-1, 1) * augment.hue if augment.hue else 0.0
    return ColourShift(brightness, contrast, saturation, turns, augment.value_range)


def _grey(x: Tensor) -> Tensor:
    if len(x) != 3:
        return x.mean(dim=0, keepdim=True)
    weights = torch.tensor(LUMA, dtype=x.dtype)[:, None, None]
    return (weights * x).sum(dim=0, keepdim=True)


def _turned(x: Tensor, turns: float) -> Tensor:
    """Turn the hue, with value and saturation of the HSV model kept (Smith 1978)."""
    value, smallest = x.amax(dim=0), x.amin(dim=0)
    chroma = value - smallest
    red, green, blue = x
    some = chroma.clamp_min(1e-12)
    sector = torch.where(
        value == red,
        (green - blue) / some,
        torch.where(value == green, 2 + (blue - red) / some, 4 + (red - green) / some),
    )
    hue = sector + 6 * turns
    # f(n) = V − C max(0, min(k, 4 − k, 1)) with k = (n + H / 60°) mod 6, for red, green, blue.
    offsets = torch.tensor([5.0, 3.0, 1.0], dtype=x.dtype)[:, None, None]
    k = (offsets + hue) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)
