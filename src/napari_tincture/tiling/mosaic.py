"""All levels of a result as far as it is known, in pages, in bounded memory.

Pages of the finest levels are forgotten when their share of the memory is full, the least recently
used first. The upper levels, small even of a large slide, are kept whole.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_tincture.io.pyramid import downsample
from napari_tincture.tiling.live_layout import Block, LiveLayout, Plane, TileIndex

Bounds = tuple[tuple[int, int], tuple[int, int]]
"""((y start, y stop), (x start, x stop)) in pixels of a level."""
PageKey = tuple[Plane, int, int, int]

PAGE = 512
"""Side of a page in pixels."""
MEMORY = 768 * 2**20
"""Bytes that forgettable pages may take: half of them level 0, the rest what lies above it."""
OVERVIEW = 128 * 2**20
"""Bytes that the levels kept whole may take together."""


@dataclass(slots=True)
class _Page:
    """Values (c, y, x) and the tiles that they came from."""

    values: Block
    tiles: set[TileIndex] = field(default_factory=set)


class _Store:
    """Pages of one level; the least recently used leave."""

    def __init__(self, limit: int) -> None:
        self.pages: OrderedDict[PageKey, _Page] = OrderedDict()
        self._limit, self._bytes = limit, 0

    def get(self, key: PageKey) -> _Page | None:
        page = self.pages.get(key)
        if page is not None:
            self.pages.move_to_end(key)
        return page

    def put(self, key: PageKey, page: _Page) -> None:
        self.pages[key] = page
        self._bytes += page.values.nbytes
        while self._bytes > self._limit and len(self.pages) > 1:
            _, dropped = self.pages.popitem(last=False)
            self._bytes -= dropped.values.nbytes


class Mosaic:
    """Takes tiles of level 0 and answers windows of any level at once.

    Parameters
    ----------
    layout
        What the result is like.
    limit
        Bytes that forgettable pages may take.

    Notes
    -----
    Any thread may read while one writes; a window that is read meanwhile may show part of a tile.
    """

    def __init__(self, layout: LiveLayout, limit: int = MEMORY) -> None:
        self.layout = layout
        self.shapes = layout.shapes
        self._edges = layout.edges()
        self._lock = threading.Lock()
        self._kept: dict[PageKey, _Page] = {}
        self._first_kept = self._levels_to_keep()
        others = max(self._first_kept - 1, 1)
        # Of their own each: else a few tiles' level 0 would push out what shows a hundred of them.
        self._stores = [
            _Store(limit // 2 if level == 0 else limit // 2 // others)
            for level in range(self._first_kept)
        ]
        self.lowest: Block | None = None
        if not layout.leading:
            # napari holds this very array, and never asks for it again.
            shape = (layout.depth, *self.shapes[-1])
            self.lowest = np.full(shape, layout.hole, layout.dtype)

    def place(self, index: TileIndex, level: int = 0) -> Bounds:
        """Where a tile lies in a level, pixels that it shares with others included."""
        (top, bottom), (left, right) = (
            (edges[i], edges[i + 1]) for edges, i in zip(self._edges, index, strict=True)
        )
        height, width = self.shapes[level]
        return (top >> level, min(-(-bottom >> level), height)), (
            left >> level,
            min(-(-right >> level), width),
        )

    def tiles(self, bounds: Bounds) -> list[TileIndex]:
        """Tiles that a window of level 0 touches."""
        spans = []
        for edges, (start, stop) in zip(self._edges, bounds, strict=True):
            first = int(np.searchsorted(edges, start, "right")) - 1
            last = int(np.searchsorted(edges, stop, "left"))
            spans.append(range(max(first, 0), min(last, len(edges) - 1)))
        return [(i, j) for i in spans[0] for j in spans[1]]

    def write(self, plane: Plane, index: TileIndex, block: Block, level: int = 0) -> None:
        """Take a tile (c, y, x), or its copy at a level, into that level and all above it."""
        (y, x), values = self.place(index, level), self._with_alpha(block)
        while True:
            self._store(plane, level, y[0], x[0], values, index)
            if level + 1 == len(self.shapes):
                break
            values, y, x = self._halved(plane, level, y, x, values)
            level += 1

    def read(self, plane: Plane, level: int, y: slice, x: slice) -> Block:
        """Give a window (c, y, x) of a level as far as it is known; slices without step."""
        height, width = max(y.stop - y.start, 0), max(x.stop - x.start, 0)
        layout = self.layout
        out = np.full((layout.depth, height, width), layout.hole, layout.dtype)
        for key, inside, within in self._parts(plane, level, y.start, x.start, height, width):
            page = self._get(key)
            if page is not None:
                out[within] = page.values[inside]
        return out

    def holds(self, plane: Plane, level: int, index: TileIndex) -> bool:
        """Whether all of a tile can be read at a level."""
        (top, bottom), (left, right) = self.place(index, level)
        parts = self._parts(plane, level, top, left, bottom - top, right - left)
        for key, _, _ in parts:
            page = self._get(key)
            if page is None or index not in page.tiles:
                return False
        return True

    def outdate(self, plane: Plane) -> None:
        """Hold no tile of a plane any more; what is there is shown until others come."""
        with self._lock:
            for pages in (self._kept, *(store.pages for store in self._stores)):
                for key, page in pages.items():
                    if key[0] == plane:
                        page.tiles.clear()

    def _levels_to_keep(self) -> int:
        """The first of the levels that are kept whole."""
        layout, size = self.layout, 0
        each = layout.depth * layout.dtype.itemsize * math.prod(layout.counts)
        for level in reversed(range(len(self.shapes))):
            size += each * math.prod(self.shapes[level])
            if size > OVERVIEW:
                return level + 1
        return 0

    def _with_alpha(self, block: Block) -> Block:
        if not self.layout.rgb or len(block) == 4:
            return block
        full = 1 if block.dtype.kind == "f" else np.iinfo(block.dtype).max
        return np.concatenate([block, np.full_like(block[:1], full)])

    def _halved(
        self, plane: Plane, level: int, y: tuple[int, int], x: tuple[int, int], values: Block
    ) -> tuple[Block, tuple[int, int], tuple[int, int]]:
        """The next level where a tile reaches it, with what the tiles beside it give to it."""
        whole = tuple(
            (start - start % 2, min(stop + stop % 2, size))
            for (start, stop), size in zip((y, x), self.shapes[level], strict=True)
        )
        if whole != (y, x):
            values = self.read(plane, level, slice(*whole[0]), slice(*whole[1]))
        halved = downsample(values, self.layout.kind)
        if self.layout.rgb:  # a colour mixed with a hole is none
            full = 1 if halved.dtype.kind == "f" else np.iinfo(halved.dtype).max
            halved = np.where(halved[3:] < full, halved.dtype.type(0), halved)
        up = tuple((start // 2, -(-stop // 2)) for start, stop in whole)
        return halved, up[0], up[1]

    def _store(
        self, plane: Plane, level: int, top: int, left: int, values: Block, tile: TileIndex
    ) -> None:
        for key, inside, within in self._parts(plane, level, top, left, *values.shape[1:]):
            page = self._get(key) or self._new(key)
            page.values[inside] = values[within]
            page.tiles.add(tile)

    def _parts(
        self, plane: Plane, level: int, top: int, left: int, height: int, width: int
    ) -> Iterator[tuple[PageKey, tuple[Any, ...], tuple[Any, ...]]]:
        """Pages that a window touches: key, the part of the page, the part of the window."""
        side = max(self.shapes[-1]) if self._is_lowest(level) else PAGE
        for i, y, within_y in _cuts(top, height, side):
            for j, x, within_x in _cuts(left, width, side):
                yield (plane, level, i, j), (slice(None), y, x), (slice(None), within_y, within_x)

    def _is_lowest(self, level: int) -> bool:
        return level == len(self.shapes) - 1 and self.lowest is not None

    def _get(self, key: PageKey) -> _Page | None:
        with self._lock:
            kept = key[1] >= self._first_kept
            return self._kept.get(key) if kept else self._stores[key[1]].get(key)

    def _new(self, key: PageKey) -> _Page:
        layout, (_, level, i, j) = self.layout, key
        if self._is_lowest(level):
            assert self.lowest is not None
            page = _Page(self.lowest)
        else:
            sides = (
                min(PAGE, size - n * PAGE)
                for n, size in zip((i, j), self.shapes[level], strict=True)
            )
            page = _Page(np.full((layout.depth, *sides), layout.hole, layout.dtype))
        with self._lock:
            if level >= self._first_kept:
                self._kept[key] = page
            else:
                self._stores[level].put(key, page)
        return page


def _cuts(start: int, length: int, side: int) -> Iterator[tuple[int, slice, slice]]:
    for number in range(start // side, -(-(start + length) // side)):
        first, last = max(start, number * side), min(start + length, (number + 1) * side)
        yield (
            number,
            slice(first - number * side, last - number * side),
            slice(first - start, last - start),
        )


def aligned_level(starts: Sequence[int], deepest: int) -> int:
    """The deepest level, up to `deepest`, in which a tile that starts there shares no pixel."""
    common = math.gcd(*starts)
    return deepest if common == 0 else min((common & -common).bit_length() - 1, deepest)
