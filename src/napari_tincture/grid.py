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
        Receptive field beyond an output pixel on either side, a multiple of `stride`; of windows
        that are blended, what they hold beyond their cores, a multiple of half of it.
    border
        "clip" for networks that pad, "mirror" for those that do not.
    margin
        Pixels by which the output is smaller than the input, on either side ("mirror" only).
    remainder
        Legal input lengths are those equal to this modulo `stride` ("mirror" only).
    rim
        Pixels at a window's edge that count for nothing where outputs are blended.
    """

    stride: int = 1
    halo: int = 0
    border: Border = "clip"
    margin: int = 0
    remainder: int = 0
    rim: int = 0

    def extended(self, length: int) -> int:
        """Length of the mirror-extended axis whose result is called the whole.

        It grows at its far side to the next multiple of the stride, at least two: over one sample
        of the deepest feature map, normalisations are undefined. Only a side that is a multiple
        already and no thumbnail (64 pixels) stays at one: published networks are run so.
        """
        if self.border == "mirror":
            return self.legal(length + 2 * self.margin) - 2 * self.margin
        if length % self.stride == 0 and length >= min(2 * self.stride, 64):
            return length
        return max(math.ceil(length / self.stride), 2) * self.stride

    def edge_below(self, position: int) -> int:
        """Last place not after `position` where a core may end, so that windows lie on strides."""
        shift = self.halo % self.stride
        return max((position - shift) // self.stride * self.stride + shift, 0)

    def edge_above(self, position: int) -> int:
        """First such place not before `position`."""
        shift = self.halo % self.stride
        return math.ceil((position - shift) / self.stride) * self.stride + shift

    def legal(self, length: int) -> int:
        """Smallest legal input length that is not below `length` ("mirror" only)."""
        return length + (self.remainder - length) % self.stride


@dataclass(frozen=True, slots=True)
class Span:
    """The part of one tile along one axis, in pixels of the image.

    Attributes
    ----------
    core
        Start and stop of what this tile contributes to the extended image.
    kept
        The part of the core that lies in the image and in the wanted region.
    window
        Start and stop of what the network is given; may leave the image, which is then mirrored.
    margin
        Pixels that the network's output lacks at the window's either end.
    """

    core: tuple[int, int]
    kept: tuple[int, int]
    window: tuple[int, int]
    margin: int = 0

    @property
    def inner(self) -> slice:
        """The kept part within the network's output for the window."""
        return self._within(self.kept)

    def _within(self, part: tuple[int, int]) -> slice:
        origin = self.window[0] + self.margin
        return slice(part[0] - origin, part[1] - origin)

    @property
    def size(self) -> int:
        """Length of the kept part."""
        return self.kept[1] - self.kept[0]

    @property
    def core_size(self) -> int:
        """Length of the core."""
        return self.core[1] - self.core[0]

    @property
    def window_size(self) -> int:
        """Length of the window."""
        return self.window[1] - self.window[0]

    def inner_at(self, size: int) -> slice | None:
        """The core within a feature map that covers the window with `size` samples.

        A sample that the core's edge cuts, as edges of blended windows may, is the next core's.
        None if the map has no whole stride (or is finer by no whole factor), or lies on no
        multiple of it.
        """
        factor = self.window_size // size
        if self.margin or (self.window_size % size and size % self.window_size):
            return None
        if factor > 1 and self.window[0] % factor:
            return None
        inner = self._within(self.core)
        return slice(*(edge * size // self.window_size for edge in (inner.start, inner.stop)))


def cut(
    length: int, core: int, geometry: Geometry, bounds: tuple[int, int] | None = None
) -> tuple[Span, ...]:
    """Cut an axis, or a part of it, into spans whose cores cover it once.

    Every core holds at least one pixel of the image; the last one of the image holds its
    extension too.

    Parameters
    ----------
    length
        Pixels of the image along this axis.
    core
        Wanted length of a core; rounded up to a multiple of the stride.
    geometry
        What the network asks of its windows.
    bounds
        Start and stop of the part that is wanted, in pixels; None for all of it.
    """
    wanted = bounds or (0, length)
    end = geometry.extended(length)
    step = max(math.ceil(core / geometry.stride), 1) * geometry.stride
    first = geometry.edge_below(wanted[0])
    last = min(geometry.edge_above(wanted[1]), end)
    starts = [first, *range(geometry.edge_above(first) + step, wanted[1], step)]
    stops = [*starts[1:], end if wanted[1] == length else last]
    return tuple(_span(edges, wanted, end, geometry) for edges in zip(starts, stops, strict=True))


def _span(core: tuple[int, int], wanted: tuple[int, int], end: int, geometry: Geometry) -> Span:
    start, stop = core
    kept = max(start, wanted[0]), min(stop, wanted[1])
    if geometry.border == "mirror":
        first = start - geometry.margin
        size = geometry.legal(stop - start + 2 * geometry.margin)
        return Span(core, kept, (first, first + size), geometry.margin)
    return Span(core, kept, (max(start - geometry.halo, 0), min(stop + geometry.halo, end)))


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
    def kept(self) -> tuple[slice, slice]:
        """What the tile contributes to the result, in pixels of the plane."""
        return slice(*self.y.kept), slice(*self.x.kept)

    @property
    def inner(self) -> tuple[slice, slice]:
        """The kept part within the network's output for this tile's window."""
        return self.y.inner, self.x.inner

    @property
    def window_shape(self) -> tuple[int, int]:
        """Height and width of the window."""
        return self.y.window_size, self.x.window_size


@dataclass(frozen=True)
class Grid:
    """Tiles of a plane, or of a region of it, row by row.

    Attributes
    ----------
    shape
        Height and width of the plane in pixels.
    bounds
        ((y start, y stop), (x start, x stop)) of what the tiles keep together.
    rows, columns
        Spans along y and x.
    geometry
        What the spans were cut for.
    """

    shape: tuple[int, int]
    bounds: tuple[tuple[int, int], tuple[int, int]]
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    geometry: Geometry

    @classmethod
    def cut(
        cls,
        shape: tuple[int, int],
        core: tuple[int, int],
        geometry: Geometry,
        region: tuple[tuple[int, int], tuple[int, int]] | None = None,
    ) -> Grid:
        """Cut a plane, or `region` of it, into cores of about `core` (y, x) pixels."""
        bounds = region or ((0, shape[0]), (0, shape[1]))
        spans = [cut(n, c, geometry, b) for n, c, b in zip(shape, core, bounds, strict=True)]
        return cls(shape, bounds, spans[0], spans[1], geometry)

    def surrounded(self, halo: int) -> Grid:
        """The same blocks, as a plane of their own, with windows `halo` pixels around them."""
        shape = tuple(stop - start for start, stop in self.bounds)
        spans = [
            tuple(_surrounded(s, start, stop - start, halo) for s in along)
            for along, (start, stop) in zip((self.rows, self.columns), self.bounds, strict=True)
        ]
        whole = ((0, shape[0]), (0, shape[1]))
        return Grid((shape[0], shape[1]), whole, spans[0], spans[1], Geometry(1, halo))

    @property
    def counts(self) -> tuple[int, int]:
        """Number of tiles along y and x."""
        return len(self.rows), len(self.columns)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __getitem__(self, index: tuple[int, int]) -> Tile:
        return Tile(index, self.rows[index[0]], self.columns[index[1]])

    def __iter__(self) -> Iterator[Tile]:
        rows, columns = self.counts
        return (self[index] for index in product(range(rows), range(columns)))

    @property
    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Lengths of what the tiles keep along y and x, as dask writes chunks."""
        rows, columns = (tuple(s.size for s in spans) for spans in (self.rows, self.columns))
        return rows, columns

    def place(self, tile: Tile) -> tuple[slice, slice]:
        """Where a tile's kept part lies in the result, which starts where the region does."""
        y, x = (
            slice(kept.start - start, kept.stop - start)
            for kept, (start, _) in zip(tile.kept, self.bounds, strict=True)
        )
        return y, x

    def split(self, tile: Tile) -> tuple[Tile, ...]:
        """Halve a tile along its longer side, for want of memory; one tile if it cannot be."""
        along_y = tile.y.core_size >= tile.x.core_size
        span = tile.y if along_y else tile.x
        axis = 0 if along_y else 1
        stride = self.geometry.stride
        middle = span.core[0] + span.core_size // 2 // stride * stride
        if middle in span.core:
            return (tile,)
        end = self.geometry.extended(self.shape[axis])
        halves = [
            _span(edges, span.kept, end, self.geometry)
            for edges in ((span.core[0], middle), (middle, span.core[1]))
        ]
        parts = [
            Tile(tile.index, half, tile.x) if along_y else Tile(tile.index, tile.y, half)
            for half in halves
        ]
        return tuple(t for t in parts if t.y.size > 0 and t.x.size > 0)

    @property
    def window_share(self) -> float:
        """Pixels in all windows per pixel in all cores: what the halo costs."""
        read = sum(s.window_size for s in self.rows) * sum(s.window_size for s in self.columns)
        cores = sum(s.core_size for s in self.rows) * sum(s.core_size for s in self.columns)
        return read / cores


def _surrounded(span: Span, origin: int, length: int, halo: int) -> Span:
    kept = span.kept[0] - origin, span.kept[1] - origin
    return Span(kept, kept, (max(kept[0] - halo, 0), min(kept[1] + halo, length)))


def balanced_core(length: int, target: int, stride: int) -> int:
    """Core length near `target` that cuts an axis into nearly equal parts.

    Parameters
    ----------
    length, target, stride
        Pixels of the axis, wanted core, and the stride of which the core is a multiple.
    """
    parts = max(round(length / target), 1)
    return math.ceil(length / parts / stride) * stride
