"""Cores and windows: where tiles lie. Integers only, one axis first, then the product.

An axis of an image is cut into *cores* that cover it once. The network sees a *window* around
each core: the core plus a halo on both sides. For a network that pads (``border="clip"``) the
window is clipped to the image, so that the network's own padding acts at the true border alone.
For an unpadded network (``border="mirror"``) it reaches beyond the image, which is continued by
mirroring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

Border = Literal["clip", "mirror"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a network asks of the windows that it is given, in pixels.

    Attributes
    ----------
    stride
        Total stride: windows start and end on its multiples.
    halo
        Receptive field beyond an output pixel on either side, a multiple of `stride`.
    border
        "clip" for networks that pad, "mirror" for those that do not.
    margin
        Pixels by which the output is smaller than the input, on either side ("mirror" only).
    remainder
        Legal input lengths are those equal to this modulo `stride` ("mirror" only).
    """

    stride: int = 1
    halo: int = 0
    border: Border = "clip"
    margin: int = 0
    remainder: int = 0

    def extended(self, length: int) -> int:
        """Length of the mirror-extended axis whose result is called the whole.

        A length that is a multiple of the stride stays as it is; any other grows at its far side
        to the next multiple, at least two.
        """
        if self.border == "mirror":
            return self.legal(length + 2 * self.margin) - 2 * self.margin
        if length % self.stride == 0:
            return length
        return max(math.ceil(length / self.stride), 2) * self.stride

    def legal(self, length: int) -> int:
        """Smallest legal input length that is not below `length` ("mirror" only)."""
        return length + (self.remainder - length) % self.stride


@dataclass(frozen=True, slots=True)
class Span:
    """The part of one tile along one axis, in pixels of the image.

    Attributes
    ----------
    core
        Start and stop of what this tile contributes to the result.
    window
        Start and stop of what the network is given; may leave the image, which is then mirrored.
    margin
        Pixels that the network's output lacks at the window's either end.
    """

    core: tuple[int, int]
    window: tuple[int, int]
    margin: int = 0

    @property
    def inner(self) -> slice:
        """The core within the network's output for the window."""
        origin = self.window[0] + self.margin
        return slice(self.core[0] - origin, self.core[1] - origin)

    @property
    def size(self) -> int:
        """Length of the core."""
        return self.core[1] - self.core[0]

    @property
    def window_size(self) -> int:
        """Length of the window."""
        return self.window[1] - self.window[0]

    def inner_at(self, size: int) -> slice | None:
        """The core within a feature map that covers the window with `size` samples.

        None if the map does not lie on a whole stride of the window or cuts the core.
        """
        stride, rest = divmod(self.window_size, size)
        if rest or self.margin:
            return None
        inner = self.inner
        if inner.start % stride or inner.stop % stride:
            return None
        return slice(inner.start // stride, inner.stop // stride)


def cut(length: int, core: int, geometry: Geometry) -> tuple[Span, ...]:
    """Cut an axis of `length` pixels into spans whose cores cover the extended axis once.

    Parameters
    ----------
    length
        Pixels of the image along this axis.
    core
        Wanted length of a core; rounded up to a multiple of the stride.
    geometry
        What the network asks of its windows.
    """
    end = geometry.extended(length)
    step = max(math.ceil(core / geometry.stride), 1) * geometry.stride
    return tuple(
        _span(start, min(start + step, end), end, geometry) for start in range(0, end, step)
    )


def _span(start: int, stop: int, end: int, geometry: Geometry) -> Span:
    if geometry.border == "mirror":
        first = start - geometry.margin
        size = geometry.legal(stop - start + 2 * geometry.margin)
        return Span((start, stop), (first, first + size), geometry.margin)
    return Span((start, stop), (max(start - geometry.halo, 0), min(stop + geometry.halo, end)))


def mirror_index(start: int, stop: int, length: int) -> npt.NDArray[np.intp]:
    """Indices that continue an axis of `length` samples by mirroring about its end samples.

    The end sample itself is not repeated; mirroring goes on where the range is longer than the
    axis; an axis of one sample repeats it.
    """
    if length == 1:
        return np.zeros(stop - start, np.intp)
    period = 2 * (length - 1)
    folded = np.arange(start, stop) % period
    return np.where(folded < length, folded, period - folded).astype(np.intp)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a plane: a span along y and one along x."""

    index: tuple[int, int]
    y: Span
    x: Span

    @property
    def core(self) -> tuple[slice, slice]:
        """The tile's part of the extended plane."""
        return slice(*self.y.core), slice(*self.x.core)

    @property
    def inner(self) -> tuple[slice, slice]:
        """The core within the network's output for this tile's window."""
        return self.y.inner, self.x.inner

    @property
    def window_shape(self) -> tuple[int, int]:
        """Height and width of the window."""
        return self.y.window_size, self.x.window_size


@dataclass(frozen=True)
class Grid:
    """All tiles of a plane of `shape` (y, x) pixels, row by row."""

    shape: tuple[int, int]
    core: tuple[int, int]
    geometry: Geometry

    @cached_property
    def rows(self) -> tuple[Span, ...]:
        """Spans along y."""
        return cut(self.shape[0], self.core[0], self.geometry)

    @cached_property
    def columns(self) -> tuple[Span, ...]:
        """Spans along x."""
        return cut(self.shape[1], self.core[1], self.geometry)

    @property
    def counts(self) -> tuple[int, int]:
        """Number of tiles along y and x."""
        return len(self.rows), len(self.columns)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __getitem__(self, index: tuple[int, int]) -> Tile:
        return Tile(index, self.rows[index[0]], self.columns[index[1]])

    def __iter__(self) -> Iterator[Tile]:
        return (self[index] for index in product(*map(range, self.counts)))

    @property
    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Lengths of the cores clipped to the image, along y and x, as dask writes chunks."""
        return _clipped(self.rows, self.shape[0]), _clipped(self.columns, self.shape[1])

    @property
    def window_share(self) -> float:
        """Pixels in all windows per pixel of the extended image: what the halo costs."""
        read = sum(s.window_size for s in self.rows) * sum(s.window_size for s in self.columns)
        return read / (self.rows[-1].core[1] * self.columns[-1].core[1])


def _clipped(spans: tuple[Span, ...], length: int) -> tuple[int, ...]:
    sizes = tuple(min(s.core[1], length) - s.core[0] for s in spans)
    return tuple(size for size in sizes if size > 0)


def balanced_core(length: int, target: int, stride: int) -> int:
    """Core length near `target` that cuts an axis into nearly equal parts.

    Parameters
    ----------
    length, target, stride
        Pixels of the axis, wanted core, and the stride of which the core is a multiple.
    """
    parts = max(round(length / target), 1)
    return math.ceil(length / parts / stride) * stride
