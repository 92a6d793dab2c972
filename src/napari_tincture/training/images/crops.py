"""Which crop is drawn, and how its pixels are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_tincture.errors import InputError
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.training.images.augment import (
    Augment,
    folded,
    limits_of,
    places_of,
    random_matrix,
    sample_at,
    sample_labels,
)
from napari_tincture.training.images.coverage import (
    Condition,
    Extent,
    Maps,
    all_places,
    excluded,
    random_place,
)
from napari_tincture.training.images.foreground import SHOWN, Foreground
from napari_tincture.training.images.pictures import Picture
from napari_tincture.training.labels.pictures import LabelPicture
from napari_tincture.training.labels.places import ANY, LabelPlaces, Wish

Scene = tuple[Picture, ...]
"""Pictures that lie on each other: one, or a pair."""
Window = Callable[[slice, slice], Tensor]
ATTEMPTS = 32
"""Scenes that are drawn before all are gone through in order."""


@dataclass(frozen=True, slots=True)
class Crop:
    """Where one crop is.

    Attributes
    ----------
    scene
        Number of the scene.
    y, x
        First pixel of its window; negative where a picture smaller than the crop is mirrored.
    matrix
        Turns and flips, from the crop's pixels (x, y) to the picture's.
    places
        Where each pixel comes from, where they lie between the picture's; else None.
    """

    scene: int
    y: int
    x: int
    matrix: NDArray[np.float64]
    places: Tensor | None = None


class Crops:
    """Draws crops of scenes, each a function of its number and its generator alone.

    Parameters
    ----------
    scenes
        All of the same number of pictures.
    keeps
        For each picture of a scene, which labels of its mask may be used; None: label 0.
    size, augment, epochs, foreground, limit, seed
        As `Sampling` has them.
    """

    def __init__(
        self, scenes: Sequence[Scene], keeps: Sequence[tuple[int, ...] | None], *, size: int,
        augment: Augment, epochs: bool, foreground: float, limit: float, seed: Sequence[int],
    ) -> None:  # fmt: skip
        self.scenes, self._size, self._augment = scenes, size, augment
        self._epochs, self._share, self._limit, self._seed = epochs, foreground, limit, seed
        # Between one draw per image and one per pixel: large images show more, but not 10×.
        odds = np.sqrt([math.prod(scene[0].shape) for scene in scenes])
        odds *= [scene[0].odds for scene in scenes]
        self._ends = np.cumsum(odds) / odds.sum()
        self._excluded = [Maps(partial(excluded, keep=keep)) for keep in keeps]
        # A pair is known by its target, whose stain tells specimen from glass more clearly.
        self._shown = Maps(Foreground([scene[-1] for scene in scenes]).coverage)
        self._labelled = LabelPlaces()
        self._listed = BlockCache(2**26)

    def draw(self, number: int, rng: np.random.Generator) -> Crop:
        """The crop of a number; numbers count crops from the beginning of the training.

        Raises
        ------
        InputError
            If the masks leave no room for a crop.
        """
        shows = self._share > 0 and rng.random() < self._share
        for wish in self._wishes(shows, rng):
            for scene in self._order(number, rng):
                crop = self._within(scene, wish, rng)
                if crop is not None:
                    return crop
        raise InputError(
            f"The masks of {len(self.scenes)} images leave no room for a crop of {self._size} px: "
            f"none lies where at most {self._limit:.0%} is excluded. Take smaller crops, exclude "
            "less, or allow a larger excluded share."
        )

    def read(self, crop: Crop) -> list[Tensor]:
        """Values (c, y, x) of each picture as the networks take them."""
        return [self._pixels(crop, picture) for picture in self.scenes[crop.scene]]

    def read_weight(self, crop: Crop) -> Tensor:
        """Weights (1, y, x): the product of those of all pictures, 1 where there are none."""
        result = torch.ones(1, self._size, self._size)
        for picture in self.scenes[crop.scene]:
            if picture.weight is not None:
                result = result * self._pixels(crop, picture.weight)
        return result

    def style(self, crop: Crop) -> int:
        """Number of the style of what it shows; 0: none."""
        return self.scenes[crop.scene][0].style

    def _wishes(self, shows: bool, rng: np.random.Generator) -> Iterator[Wish]:
        """What crops should show, first what matters most."""
        target = self.scenes[0][-1]
        if isinstance(target, LabelPicture):
            if shows:
                yield int(rng.integers(target.balanced))
            yield ANY
        elif shows:
            yield True
        yield None

    def _order(self, number: int, rng: np.random.Generator) -> Iterator[int]:
        """Scenes in the order in which they are tried."""
        count = len(self.scenes)
        if self._epochs:
            epoch, first = divmod(number, count)
            order = _shuffled(count, epoch, *self._seed)
            yield from np.roll(order, -first).tolist()
            return
        for _ in range(ATTEMPTS):
            yield min(int(np.searchsorted(self._ends, rng.random(), "right")), count - 1)
        yield from range(count)

    def _within(self, number: int, wish: Wish, rng: np.random.Generator) -> Crop | None:
        shape = self._shape(self.scenes[number][0])
        matrix = random_matrix(self._augment, rng)
        if self._augment.moves_whole_pixels:
            corner = self._corner(number, shape, (self._size, self._size), wish, rng)
            return corner and Crop(number, *corner, matrix)
        places = places_of(self._size, matrix, (0.0, 0.0), self._augment, rng)
        limits = limits_of(places)
        width, height = (math.ceil(high - low) + 1 for low, high in limits)
        corner = self._corner(number, shape, (height, width), wish, rng)
        if corner is None:
            return None
        shift = [at - low for at, (low, _) in zip(corner[::-1], limits, strict=True)]
        places += torch.tensor(shift, dtype=places.dtype)
        return Crop(number, *corner, matrix, folded(places, shape))

    def _corner(
        self, number: int, shape: Extent, extent: Extent, wish: Wish,
        rng: np.random.Generator,
    ) -> tuple[int, int] | None:  # fmt: skip
        """First pixel of a window where all conditions hold."""
        target = self.scenes[number][-1]
        shown = wish is True
        conditions = self._conditions(self.scenes[number], shape, shown)
        if isinstance(target, LabelPicture) and wish is not None:
            return self._labelled.draw(rng, target, wish, shape, extent, conditions)
        if not all(condition.is_possible(extent) for condition in conditions):
            return None
        positions = max(shape[0] - extent[0], 0) + 1, max(shape[1] - extent[1], 0) + 1
        found = random_place(rng, positions, extent, conditions)
        if found is None:
            key = number, extent, shown
            places = self._listed.get(key)
            if places is None:
                places = all_places(positions, extent, conditions)
                self._listed.put(key, places)
            if not len(places):
                return None
            y, x = places[rng.integers(len(places))].tolist()
            found = y, x
        # A window larger than the picture has its middle there.
        y, x = (a + min(n - e, 0) // 2 for a, n, e in zip(found, shape, extent, strict=True))
        return y, x

    def _conditions(self, scene: Scene, shape: Extent, foreground: bool) -> list[Condition]:
        height, width = scene[0].shape
        factor = shape[0] / height, shape[1] / width
        conditions = [
            Condition(maps(picture).scaled(factor), 0.0, self._limit)
            for maps, picture in zip(self._excluded, scene, strict=True)
            if picture.mask is not None
        ]
        if foreground:
            conditions.append(Condition(self._shown(scene[-1]).scaled(factor), SHOWN, 1.0))
        return conditions

    def _shape(self, picture: Picture) -> Extent:
        side = self._augment.resize
        return (side, side) if side else picture.shape

    def _pixels(self, crop: Crop, picture: Picture) -> Tensor:
        window = _resized(picture, self._augment.resize) if self._augment.resize else picture.read
        if crop.places is None:
            y, x = (slice(start, start + self._size) for start in (crop.y, crop.x))
            return turned(window(y, x), crop.matrix)
        return _between(window, crop.places, self._shape(picture), picture.nearest)


def turned(values: Tensor, matrix: NDArray[np.float64]) -> Tensor:
    """Flip and turn a square (c, y, x) by quarters, without touching its values.

    Parameters
    ----------
    matrix
        2 × 2, with one 1 or −1 per row and column: from the result's pixels (x, y) to those of
        `values`, counted from the middle.
    """
    sign_x, sign_y = matrix.sum(axis=1)
    axes = [axis for axis, sign in ((2, sign_x), (1, sign_y)) if sign < 0]
    values = values.flip(axes)
    return values.transpose(1, 2).contiguous() if matrix[0, 0] == 0 else values


def _between(window: Window, places: Tensor, shape: Extent, nearest: bool) -> Tensor:
    """Values between pixels, from the least window that holds those around them."""
    (left, right), (top, bottom) = (tuple(map(math.floor, each)) for each in limits_of(places))
    y, x = slice(top, min(bottom + 2, shape[0])), slice(left, min(right + 2, shape[1]))
    places = places - torch.tensor([left, top], dtype=places.dtype)
    return (sample_labels if nearest else sample_at)(window(y, x), places)


def _resized(picture: Picture, side: int) -> Window:
    """The whole picture brought to a square of `side` pixels, bicubic as Pillow has it."""
    height, width = picture.shape
    whole = picture.read(slice(0, height), slice(0, width))
    if (height, width) != (side, side) and picture.nearest:
        whole = functional.interpolate(whole[None], size=(side, side), mode="nearest-exact")[0]
    elif (height, width) != (side, side):
        low, high = whole.min(), whole.max()
        whole = functional.interpolate(
            whole[None], size=(side, side), mode="bicubic", antialias=True
        )[0].clamp(low, high)
    return lambda y, x: whole[:, y, x]


@lru_cache(8)
def _shuffled(count: int, epoch: int, *seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([*seed, epoch]).permutation(count)
