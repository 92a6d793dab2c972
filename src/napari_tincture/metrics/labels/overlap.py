"""Which labels of two images lie on each other, and on how many pixels.

A sparse contingency table: all that figures of label images need, and small, for an object touches
few others. Tables of parts are summed, in any order, to exactly that of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError

Ids = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]


class Objects(NamedTuple):
    """Labels of one image but for the background, 0.

    Attributes
    ----------
    ids : (n,) uint64
        Sorted.
    pixels : (n,) int64
        How many each has, on the background of the other image too.
    """

    ids: Ids
    pixels: Counts


class Touching(NamedTuple):
    """Objects of both images that share pixels.

    Attributes
    ----------
    found, expected : (n,) intp
        Places in `Overlap.found_objects` and `Overlap.expected_objects`.
    common : (n,) int64
        Pixels that both have.
    union : (n,) int64
        Pixels that either has.
    """

    found: npt.NDArray[np.intp]
    expected: npt.NDArray[np.intp]
    common: Counts
    union: Counts

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union, (n,), over 0 and up to 1."""
        return self.common / self.union


@dataclass(frozen=True, eq=False)
class Overlap:
    """How many pixels have each pair of labels.

    Attributes
    ----------
    found, expected : (n,) uint64
        Labels of the pairs, sorted by `found`, then by `expected`; 0 is a label like others.
    pixels : (n,) int64
        How many have this pair, one at least.
    """

    found: Ids
    expected: Ids
    pixels: Counts

    @property
    def total(self) -> int:
        """Number of pixels that were compared."""
        return int(self.pixels.sum())

    @cached_property
    def found_objects(self) -> Objects:
        """Those of the image that is judged."""
        return _objects(self.found, self.pixels)

    @cached_property
    def expected_objects(self) -> Objects:
        """Those of the reference."""
        return _objects(self.expected, self.pixels)

    @cached_property
    def touching(self) -> Touching:
        """Pairs of objects, without background."""
        both = (self.found > 0) & (self.expected > 0)
        common = self.pixels[both]
        a = np.searchsorted(self.found_objects.ids, self.found[both])
        b = np.searchsorted(self.expected_objects.ids, self.expected[both])
        sizes = self.found_objects.pixels[a] + self.expected_objects.pixels[b]
        return Touching(a, b, common, sizes - common)


def measure(
    found: npt.NDArray[Any],
    expected: npt.NDArray[Any],
    regions: npt.NDArray[np.int32] | None = None,
    count: int = 1,
) -> list[Overlap]:
    """Count the pairs of labels of one block.

    Parameters
    ----------
    found, expected : integers of one shape, (y, x) or any other
        Labels, 0 and up.
    regions : int32 of the same shape, optional
        Region of every pixel, -1: none. None: all are region 0.
    count : int
        Number of regions.

    Returns
    -------
    list of Overlap
        One per region.

    Raises
    ------
    InputError
        If shapes differ, or labels are no integers, or negative within the regions.
    """
    parts = [found, expected] if regions is None else [found, expected, regions]
    if any(part.shape != found.shape for part in parts):
        shapes = ", ".join(str(part.shape) for part in parts)
        raise InputError(f"Labels of shapes {shapes}: expected equal ones. Crop or resample one.")
    values, lengths = _runs([np.ravel(part) for part in parts])
    where = np.zeros(len(lengths), np.int32) if regions is None else values[2]
    inside = (where >= 0) & (where < count)
    a, b = as_ids(values[0][inside], "found"), as_ids(values[1][inside], "expected")
    keys, pixels = _summed((where[inside], a, b), lengths[inside])
    edges = np.searchsorted(keys[0], np.arange(count + 1))
    return [
        Overlap(keys[1][start:stop], keys[2][start:stop], pixels[start:stop])
        for start, stop in pairwise(edges)
    ]


def merge(parts: Iterable[Overlap]) -> Overlap:
    """Sum the tables of parts; exact, and the same in any order.

    Objects of one label are one object, in whatever parts they lie: so the planes of a stack are
    joined to volumes.
    """
    several = list(parts)
    if not several:
        return Overlap(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64))
    found, expected, pixels = (
        np.concatenate([getattr(part, name) for part in several])
        for name in ("found", "expected", "pixels")
    )
    keys, summed = _summed((found, expected), pixels)
    return Overlap(keys[0], keys[1], summed)


def _runs(columns: list[npt.NDArray[Any]]) -> tuple[list[npt.NDArray[Any]], Counts]:
    """Values of pixels in a row that are equal in all columns, and how many there are."""
    size = len(columns[0])
    change = np.ones(size, np.bool_)
    if size:
        np.not_equal(columns[0][1:], columns[0][:-1], out=change[1:])
    for column in columns[1:]:
        change[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(change)
    return [column[starts] for column in columns], np.diff(starts, append=size)


def as_ids(values: npt.NDArray[Any], name: str) -> Ids:
    """Labels of a type that holds all.

    Raises
    ------
    InputError
        If they are no integers, or negative.
    """
    if values.dtype.kind not in "biu":
        raise InputError(f"Labels ({name}) are of type {values.dtype}; expected integers.")
    least = int(values.min(initial=0))
    if least < 0:
        raise InputError(
            f"Labels ({name}) hold {least}; expected 0, the background, and up. Give what is "
            "negative a label of its own, or leave it out with a mask."
        )
    return values.astype(np.uint64)


def _summed(
    keys: tuple[npt.NDArray[Any], ...], pixels: Counts
) -> tuple[list[npt.NDArray[Any]], Counts]:
    """Sort by the first key, then by the others, and join rows of equal keys."""
    order = np.lexsort(keys[::-1])
    found, lengths = _runs([key[order] for key in keys])
    if not len(lengths):
        return found, np.zeros(0, np.int64)
    starts = np.cumsum(lengths) - lengths
    return found, np.add.reduceat(pixels[order].astype(np.int64), starts)


def _objects(ids: Ids, pixels: Counts) -> Objects:
    some = ids > 0
    keys, summed = _summed((ids[some],), pixels[some])
    return Objects(keys[0], summed)
