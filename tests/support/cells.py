"""Bright discs on dark ground, with their labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster


def discs(seed: int = 0, side: int = 64, count: int = 6) -> tuple[NDArray[Any], NDArray[Any]]:
    """An image (y, x) uint8, and which disc each pixel is of, from 1; 0 is ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    for number in range(1, count + 1):
        middle = rng.uniform(6, side - 6, 2)
        labels[np.hypot(y - middle[0], x - middle[1]) < rng.uniform(5, 9)] = number
    image = 60 + 120 * (labels > 0) + rng.normal(0, 15, labels.shape)
    return image.clip(0, 255).astype(np.uint8), labels


def named(
    values: NDArray[Any], name: str = "", translate: tuple[float, float] = (0, 0), **placed: Any
) -> Raster:
    """An image or labels (y, x) with a name."""
    image = open_image(values, axes="yx", **placed)
    placement = replace(image.placement, translate=translate)
    return replace(image, name=name, placement=placement)
