"""What a metric is: sums over blocks that can be merged, and figures made of the sums.

A *statistic* goes through the pixels. Its state is one row of numbers per region; rows of parts
are merged, in any order, to the row of the whole. A *metric* reads figures off such rows; metrics
with equal statistics share one pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture.models.user_weights import UserWeights

Values = npt.NDArray[Any]
State = npt.NDArray[np.float64]
"""(regions, numbers of the statistic)"""
NO_PIXELS = "there are no pixels"
"""Why most figures of an empty region are undefined."""


class Undefined(ValueError):
    """A figure that these images do not have; says why."""


def in_one_type(image: Values, reference: Values) -> tuple[Values, Values]:
    """Both in a type that holds the values of either, in the machine's byte order."""
    dtype = np.result_type(image, reference).newbyteorder("=")
    if dtype.kind == "b":
        dtype = np.dtype(np.uint8)
    elif dtype == np.float16:
        dtype = np.dtype(np.float32)
    return image.astype(dtype, copy=False), reference.astype(dtype, copy=False)


@dataclass(frozen=True, slots=True)
class Block:
    """One place of an image and of its reference.

    Attributes
    ----------
    image, reference
        Values of a window: (y, x) of one channel; of colour metrics (c, y, x), red, green, blue.
        In their own data types, which are equal.
    core
        The part of the window that counts (slices along y and x); around it lie the pixels that
        windows of the metric see, as many as there are.
    place
        Where the core lies in the plane (slices).
    shape
        Height and width of the plane.
    data_range
        Difference between the largest and the smallest possible value.
    regions
        Which region each pixel of the core (y, x) belongs to, -1: none. None: all to region 0.
    count
        Number of regions.
    bad
        Pixels of the window (y, x) without a value, None: there are none; only for statistics that
        ask for it.
    """

    image: Values
    reference: Values
    core: tuple[slice, slice]
    place: tuple[slice, slice]
    shape: tuple[int, int]
    data_range: float
    regions: npt.NDArray[np.int32] | None = None
    count: int = 1
    bad: npt.NDArray[np.bool_] | None = None

    def inner(self, margin: int) -> tuple[slice, slice]:
        """The part of the core at least so far from the edges of the plane, within the core."""
        return tuple(  # type: ignore[return-value]
            _within(place, slice(margin, side - margin))
            for place, side in zip(self.place, self.shape, strict=True)
        )

    def sums(
        self, values: npt.NDArray[np.floating[Any]], part: tuple[slice, slice] | None = None
    ) -> State:
        """Sum maps (k, y, x) over the pixels of each region; (regions, k).

        `part` is what of the core the maps cover; None: all.
        """
        stack = values.reshape(len(values), -1)
        if not stack.size:
            return np.zeros((self.count, len(values)))
        if self.regions is None:
            total = stack.sum(axis=1, dtype=np.float64)[None]
            return np.concatenate([total, np.zeros((self.count - 1, len(values)))])
        regions = self.regions if part is None else self.regions[part]
        flat = regions.ravel()
        chosen = flat >= 0
        if not chosen.all():
            flat, stack = flat[chosen], stack[:, chosen]
        rows = [np.bincount(flat, weights=row, minlength=self.count) for row in stack]
        return np.stack(rows, axis=1)

    def extremes(self, values: npt.NDArray[np.float64]) -> State:
        """Least and greatest value of a map (y, x) of the core in each region; (regions, 2)."""
        result = np.broadcast_to([np.inf, -np.inf], (self.count, 2)).copy()
        if self.regions is None:
            result[0] = values.min(initial=np.inf), values.max(initial=-np.inf)
            return result
        chosen = self.regions >= 0
        np.minimum.at(result[:, 0], self.regions[chosen], values[chosen])
        np.maximum.at(result[:, 1], self.regions[chosen], values[chosen])
        return result

    def pixels(self, part: tuple[slice, slice] | None = None) -> State:
        """Number of pixels of each region; (regions, 1)."""
        if self.regions is None:
            sides = (s.stop - s.start for s in (part or self.place))
            counts = np.zeros((self.count, 1))
            counts[0] = np.prod([*sides])
            return counts
        regions = (self.regions if part is None else self.regions[part]).ravel()
        found = np.bincount(regions[regions >= 0], minlength=self.count)
        return found[:, None].astype(np.float64)


def _within(place: slice, part: slice) -> slice:
    """Where a part lies in a place, counted from its start; empty if outside."""
    start = max(place.start, part.start)
    stop = max(start, min(place.stop, part.stop))
    return slice(start - place.start, stop - place.start)


class Statistic(ABC):
    """Sums over the pixels of blocks; equal ones are taken once for all metrics that read them.

    Attributes
    ----------
    margin
        Pixels around a core that its windows see.
    colour
        Whether blocks hold all three colours, not one channel.
    alone
        Whether it looks at the image alone; the reference of its blocks is then the image.
    takes_bad
        Whether it leaves out by itself, from `Block.bad`, what sees a pixel without a value.
        Otherwise no pixel nearer to such a one than the margin belongs to a region.
    """

    margin: int = 0
    colour: ClassVar[bool] = False
    alone: ClassVar[bool] = False
    takes_bad: ClassVar[bool] = False

    @abstractmethod
    def measure(self, block: Block) -> State:
        """Give the rows of a block; (regions, numbers)."""

    def merge(self, one: State, other: State) -> State:
        """Join the rows of two parts; associative, up to rounding."""
        return one + other


class Metric(ABC):
    """Figures of an image against its reference, or of an image alone.

    Attributes
    ----------
    statistic
        What is summed.
    columns
        Names of its figures, the first is its own.
    better
        Which of two figures speaks for the image.
    """

    statistic: Statistic
    columns: ClassVar[tuple[str, ...]]
    better: ClassVar[Literal["higher", "lower"]]
    network: ClassVar[bool] = False
    """Whether a neural network computes it, which needs torch."""
    maps: ClassVar[tuple[str, ...]] = ()
    """Columns of which `map` gives pictures."""
    averaged: ClassVar[tuple[str, ...]] = ()
    """Columns whose figure is the mean of their map, but for the margin at the plane's edges."""
    perfect: ClassVar[Mapping[str, float | None]] = {}
    """What an image scores against itself, where that is not 1 (the higher the better) or 0 (the
    lower); None: depends on the image."""
    needs: ClassVar[UserWeights | None] = None
    """Weights that the user must have; `needs.lacking()` says why it cannot be taken now."""

    @property
    def alone(self) -> bool:
        """Whether it is of one image, without reference."""
        return self.statistic.alone

    @property
    def map_margin(self) -> int:
        """Pixels around a core that its maps see; at the plane's edges as many as there are."""
        return self.statistic.margin

    @abstractmethod
    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """Read the figures off a region's row.

        Raises
        ------
        Undefined
            If the images have none.
        """

    def map(self, block: Block) -> Mapping[str, npt.NDArray[np.float32]]:
        """Figures of every pixel of the core (y, x), by column."""
        raise NotImplementedError(f"{type(self).__name__} has no maps.")
