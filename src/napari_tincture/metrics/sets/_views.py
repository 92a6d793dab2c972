"""Views of squares of images, of which features are learned without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Square = npt.NDArray[np.float32]
TEMPERATURE = 0.2
SHIFT = 0.5
"""How far apart the two views of a square may lie, as a share of its side."""


class Views:
    """Draws pairs of views: the same place about, degraded in the same way.

    Parameters
    ----------
    images : (c, y, x) or (y, x), uint8 or floating in [0, 1]
    side
        Of a view in pixels.
    seed
        Of all draws.

    Raises
    ------
    InputError
        If there are none, or they are too small, of different channels or other values.
    """

    def __init__(self, images: Sequence[npt.NDArray[Any]], side: int, seed: int) -> None:
        self._reach = int(side * (1 + SHIFT))
        self._side, self._random = side, np.random.default_rng(seed)
        self._images = [as_unit(image if image.ndim == 3 else image[None], 3) for image in images]
        counts = {len(image) for image in self._images}
        sizes = [image.shape[1:] for image in self._images]
        if not sizes or len(counts) > 1 or min(map(min, sizes)) < self._reach:
            raise InputError(
                f"Features are learned from images of equally many channels with sides of "
                f"{self._reach} pixels or more; got {len(sizes)} images with {sorted(counts)} "
                f"channels and sizes {sorted(set(sizes))[:4]}."
            )
        self.channels = counts.pop()

    def __call__(self, count: int) -> tuple[Tensor, Tensor]:
        """Two views each of `count` squares, every one degraded in two ways: (2 count, c, y, x)."""
        import torch

        ones, others = [], []
        for _ in range(count):
            region = self._region()
            # The second way makes the hardest of all negatives.
            for way in self._random.choice(len(WAYS), 2, replace=False):
                strength = float(self._random.uniform(0.3, 1.0))
                changed = WAYS[way](region, strength, self._random)
                ones.append(self._view(changed))
                others.append(self._view(changed))
        first, second = (torch.from_numpy(np.stack(views)) for views in (ones, others))
        return first, second

    def squares(self, count: int) -> Tensor:
        """Squares as they are, (count, c, y, x)."""
        import torch

        return torch.from_numpy(np.stack([self._view(self._region()) for _ in range(count)]))

    def _region(self) -> Square:
        image = self._images[int(self._random.integers(len(self._images)))]
        y, x = (int(self._random.integers(n - self._reach + 1)) for n in image.shape[1:])
        return image[:, y : y + self._reach, x : x + self._reach]

    def _view(self, region: Square) -> Square:
        y, x = self._random.integers(self._reach - self._side + 1, size=2)
        view = region[:, y : y + self._side, x : x + self._side]
        view = np.rot90(view, int(self._random.integers(4)), axes=(1, 2))
        view = view[:, :, ::-1] if self._random.random() < 0.5 else view
        return np.ascontiguousarray(view)


def contrastive_loss(vectors: Tensor) -> Tensor:
    """NT-Xent of unit vectors (2 n, d), of which the i-th and the (n + i)-th belong together."""
    import torch
    from torch.nn import functional

    count = len(vectors) // 2
    alike = vectors @ vectors.T / TEMPERATURE
    alike = alike.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=alike.device), -1e9)
    partners = torch.arange(2 * count, device=alike.device).roll(count)
    return functional.cross_entropy(alike, partners)


def as_unit(image: npt.NDArray[Any], ndim: int) -> npt.NDArray[np.float32]:
    """Values in [0, 1] of an image or several.

    Raises
    ------
    InputError
        If it has other axes, or other values.
    """
    if image.ndim != ndim or 0 in image.shape[1:]:
        raise InputError(f"Expected images with {ndim} axes, (…, c, y, x), got {image.shape}.")
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    if image.dtype.kind != "f" or (image.size and not (image.min() >= 0 and image.max() <= 1)):
        raise InputError(
            f"Images must be uint8 or floating in [0, 1], these are {image.dtype}. Divide them by "
            "their data range."
        )
    return image.astype(np.float32)


def _blurred(region: Square, strength: float, _: np.random.Generator) -> Square:
    from scipy.ndimage import gaussian_filter

    found: Square = gaussian_filter(region, (0, 2.5 * strength, 2.5 * strength))
    return found


def _noisy(region: Square, strength: float, random: np.random.Generator) -> Square:
    noise = random.normal(0, 0.15 * strength, region.shape)
    found: Square = (region + noise).clip(0, 1).astype(np.float32)
    return found


def _flat(region: Square, strength: float, _: np.random.Generator) -> Square:
    mean = region.mean((1, 2), keepdims=True)
    found: Square = (mean + (region - mean) * (1 - 0.7 * strength)).astype(np.float32)
    return found


def _shifted(region: Square, strength: float, random: np.random.Generator) -> Square:
    sign = random.choice((-1, 1))
    found: Square = (region + sign * 0.25 * strength).clip(0, 1).astype(np.float32)
    return found


def _pixelated(region: Square, strength: float, _: np.random.Generator) -> Square:
    factor = 2 + round(2 * strength)
    coarse = region[:, ::factor, ::factor].repeat(factor, 1).repeat(factor, 2)
    return coarse[:, : region.shape[1], : region.shape[2]]


WAYS: tuple[Callable[[Square, float, np.random.Generator], Square], ...] = (
    lambda region, *_: region, _blurred, _noisy, _flat, _shifted, _pixelated,
)  # fmt: skip
