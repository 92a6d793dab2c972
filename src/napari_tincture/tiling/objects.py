"""Objects across tiles: every tile segments more than its core, and neighbours are matched.

A window of maps, the core and a halo of at least the largest object, is segmented on its own.
An object gets the number of its first pixel in the plane, so that all tiles that see it whole
agree about it without talking to each other. Where a large object is cut by a window, the two
sides are matched by the label that each gives to the other's rim pixels, not by touching faces;
only objects that reach the edge between two cores are, as others may be cut by the window.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_tincture.errors import TinctureError
from napari_tincture.grid import Grid, Span, Tile
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster, Write
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.tiling.inputs import Inputs, Plane
from napari_tincture.tiling.job import CACHE_BYTES, Block, Item, TileJob
from napari_tincture.tiling.result import facts_of, placed

Labels = npt.NDArray[np.int64]
_LOST = -1
"""What a temporary file holds where nothing was written."""
Segment = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""From maps (c, y, x) to labels (y, x), 0 for background, numbered from 1."""


class ObjectJob:
    """Objects from the maps of a tile job, block by block.

    Parameters
    ----------
    maps
        The job that gives the maps.
    segment
        From maps to numbered objects.
    halo
        Pixels around a core that are segmented with it: at least the largest object's diameter.
    """

    def __init__(self, maps: TileJob, segment: Segment, halo: int) -> None:
        self.maps = maps
        self.segment = segment
        self.halo = halo
        self.cache = BlockCache(CACHE_BYTES // 4)

    @property
    def inputs(self) -> Inputs:
        """What the maps' job reads; its planes are this job's."""
        return self.maps.inputs

    @cached_property
    def grid(self) -> Grid:
        """The maps' blocks with the objects' halo, in pixels of the maps' result."""
        return self.maps.grid.surrounded(self.halo)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Wide enough for the number of any pixel of all planes."""
        height, width = self.grid.shape
        pixels = len(self.inputs.planes) * height * width
        return np.dtype(np.int32 if pixels < 2**31 else np.int64)

    def block(self, plane: Plane, index: tuple[int, int]) -> Block:
        """Provisional labels (1, y, x) of one tile's core."""
        found = self.cache.get((plane, index))
        if found is None:
            tile = self.grid[index]
            labels = self.window_labels(plane, tile)[tile.inner]
            height, width = self.grid.shape
            # Objects of two planes may begin at the same pixel.
            before = self.inputs.planes.index(plane) * height * width
            labels = np.where(labels > 0, labels + before, 0)
            found = np.ascontiguousarray(labels[None].astype(self.dtype))
            self.cache.put((plane, index), found)
        return found

    def window_labels(self, plane: Plane, tile: Tile) -> Labels:
        """Objects of a tile's whole window, each numbered by its first pixel in the plane."""
        local = self.segment(self._maps(plane, tile))
        return number_by_first_pixel(local, (tile.y.window[0], tile.x.window[0]), self.grid.shape)

    def _maps(self, plane: Plane, tile: Tile) -> npt.NDArray[Any]:
        """Maps (c, y, x) of a window, put together from the blocks that it touches."""
        result: npt.NDArray[Any] | None = None
        for i, inside_y, within_y in _touched(self.grid.rows, tile.y.window):
            for j, inside_x, within_x in _touched(self.grid.columns, tile.x.window):
                block = self.maps.block(plane, (i, j))
                if result is None:
                    result = np.empty((len(block), *tile.window_shape), block.dtype)
                result[:, inside_y, inside_x] = block[:, within_y, within_x]
        assert result is not None
        return result

    def walk(self) -> Iterator[tuple[int, int]]:
        """All tiles in strips of columns, so narrow that the maps of three rows stay cached."""
        rows, columns = self.grid.counts
        block = self.maps.bytes / max(len(self.maps), 1)
        width = max(int(self.maps.cache.limit / (3 * max(block, 1))) - 2, 1)
        for first in range(0, columns, width):
            for i in range(rows):
                yield from ((i, j) for j in range(first, min(first + width, columns)))


def number_by_first_pixel(
    local: npt.NDArray[Any], origin: tuple[int, int], shape: tuple[int, int]
) -> Labels:
    """Number each object by one more than the position of its first pixel in the plane.

    Parameters
    ----------
    local
        Labels (y, x) of a window.
    origin
        Where the window starts in the plane.
    shape
        Height and width of the plane.
    """
    flat = local.ravel()
    numbers, first = np.unique(flat, return_index=True)
    y, x = np.unravel_index(first, local.shape)
    table = np.zeros(int(numbers[-1]) + 1, np.int64)
    table[numbers] = (y + origin[0]) * shape[1] + (x + origin[1]) + 1
    table[0] = 0
    result: Labels = table[local]
    return result


def _touched(spans: tuple[Span, ...], window: tuple[int, int]) -> list[tuple[int, slice, slice]]:
    """Blocks that a window touches: number, where it lies in the window, which part of it."""
    found = []
    for number, span in enumerate(spans):
        start, stop = max(span.kept[0], window[0]), min(span.kept[1], window[1])
        if start < stop:
            inside = slice(start - window[0], stop - window[0])
            found.append((number, inside, slice(start - span.kept[0], stop - span.kept[0])))
    return found


class Matcher:
    """Joins what neighbouring tiles call differently; a union-find over their numbers."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, number: int) -> int:
        """The least number of all that were joined with this one."""
        root = number
        while (above := self._parent.get(root, root)) != root:
            root = above
        while (above := self._parent.get(number, number)) != root:
            self._parent[number] = root
            number = above
        return root

    def join(self, first: int, second: int) -> None:
        """Call two numbers one object."""
        a, b = sorted((self.find(first), self.find(second)))
        self._parent[b] = a

    def match(
        self, mine: Labels, theirs: Labels, my_edge: frozenset[int], their_edge: frozenset[int]
    ) -> None:
        """Join the objects of two tiles in the area that both segmented.

        Two are one where each is the other's most frequent partner and they share at least half
        of the smaller one's pixels there. Only those that lie in their own tile's core at the
        edge between the cores are joined: what a window cuts at its far end may be anything.
        """
        pairs, counts = np.unique(
            np.stack([mine.ravel(), theirs.ravel()]), axis=1, return_counts=True
        )
        shared = [(a, b, n) for (a, b), n in zip(pairs.T.tolist(), counts.tolist(), strict=True)]
        sizes_a, sizes_b = _sizes(shared, 0), _sizes(shared, 1)
        best_a, best_b = _best(shared, 0), _best(shared, 1)
        for a, b, n in shared:
            if a == b or a not in my_edge or b not in their_edge:
                continue
            if best_a[a] != b or best_b[b] != a:
                continue
            if 2 * n >= min(sizes_a[a], sizes_b[b]):
                self.join(a, b)


Shared = list[tuple[int, int, int]]


def _sizes(shared: Shared, side: int) -> dict[int, int]:
    sizes: dict[int, int] = defaultdict(int)
    for pair in shared:
        sizes[pair[side]] += pair[2]
    return sizes


def _best(shared: Shared, side: int) -> dict[int, int]:
    best: dict[int, tuple[int, int]] = {}
    for pair in shared:
        own, other, count = pair[side], pair[1 - side], pair[2]
        if other and count > best.get(own, (0, 0))[1]:
            best[own] = (other, count)
    return {own: other for own, (other, _) in best.items()}


class ObjectRunner:
    """Streams an object job with final numbers: 1, 2, … by first pixel, whatever the tiling."""

    def __init__(self, job: ObjectJob, sources: tuple[Raster, ...] = ()) -> None:
        self.job, self.sources = job, sources

    @property
    def maps(self) -> TileJob:
        """The job that runs the network."""
        return self.job.maps

    def facts(self) -> dict[str, Any]:
        """What was found out so far, as `JobRunner.facts`."""
        return facts_of(self.maps) if self.maps.known else {}

    def stream(
        self, write: Write, progress: Progress, cancel: CancelToken
    ) -> Mapping[str, Any] | None:
        """Segment all tiles, match them, then write them renumbered; one plane after the other."""
        job = self.job
        tiles = len(job.grid)
        planes = job.inputs.planes
        total = len(planes) * tiles
        objects = 0
        largest = 0
        progress(0, total)
        for number, plane in enumerate(planes):
            done = number * tiles
            with tempfile.TemporaryDirectory(prefix="tincture-objects-") as folder:
                pass_ = _PlanePass(job, plane, folder)
                for count, index in enumerate(job.walk(), start=1):
                    cancel.check()
                    pass_.segment(index)
                    progress(done + count, total)
                largest = max(largest, pass_.largest)
                objects += pass_.write(write, objects, cancel)
        return {**facts_of(job.maps), "objects": objects, **_too_large(largest, job.halo)}


def _too_large(largest: int, halo: int) -> dict[str, Any]:
    if largest <= halo:
        return {}
    return {
        "warning": f"The largest object is {largest} pixels across, more than the halo of {halo} "
        "pixels: such objects may be cut or joined differently at tile borders."
    }


class _PlanePass:
    """One plane: provisional labels on disk, the rims of tiles in memory until matched."""

    def __init__(self, job: ObjectJob, plane: Plane, folder: str) -> None:
        self.job, self.plane = job, plane
        self.matcher = Matcher()
        self.numbers: set[int] = set()
        self.largest = 0
        self._rims: dict[tuple[int, int], dict[str, _Rim]] = {}
        sizes = job.grid.chunks
        self._store = zarr.create_array(
            folder + "/labels.zarr",
            shape=job.grid.shape,
            chunks=(max(sizes[0]), max(sizes[1])),
            dtype=job.dtype,
            fill_value=_LOST,
        )

    def segment(self, index: tuple[int, int]) -> None:
        """Segment one tile and match it with the neighbours that came before it."""
        job, tile = self.job, self.job.grid[index]
        labels = job.window_labels(self.plane, tile)
        core = labels[tile.inner]
        self._store[tile.kept] = core.astype(job.dtype)
        self.numbers.update(np.unique(core[core > 0]).tolist())
        self.largest = max(self.largest, _largest_extent(labels, tile))
        self._match(index, tile, labels)

    def _match(self, index: tuple[int, int], tile: Tile, labels: Labels) -> None:
        i, j = index
        rims = _rims(tile, labels)
        for side, other, opposite in (
            ("top", (i - 1, j), "bottom"),
            ("bottom", (i + 1, j), "top"),
            ("left", (i, j - 1), "right"),
            ("right", (i, j + 1), "left"),
        ):
            waiting = self._rims.get(other, {})
            theirs = waiting.pop(opposite, None)
            if theirs is not None:
                mine = rims.pop(side)
                self.matcher.match(*mine.common(theirs), mine.at_edge, theirs.at_edge)
                if not waiting:
                    del self._rims[other]
        self._rims[index] = rims

    def write(self, write: Write, offset: int, cancel: CancelToken) -> int:
        """Write final labels, numbered from ``offset + 1``; give the number of objects."""
        roots = sorted({self.matcher.find(n) for n in self.numbers})
        final = {root: rank for rank, root in enumerate(roots, start=offset + 1)}
        for tile in self.job.grid:
            cancel.check()
            block = np.asarray(self._store[tile.kept])
            if (block == _LOST).any():
                raise TinctureError(
                    f"The temporary file {self._store.store_path} lost labels while the job ran. "
                    "Is a program deleting temporary files? Set TMPDIR to another folder."
                )
            numbers, where = np.unique(block, return_inverse=True)
            names = [final[self.matcher.find(n)] if n else 0 for n in numbers.tolist()]
            labels = np.asarray(names, self.job.dtype)[where].reshape(block.shape)
            item: Item = (self.plane, tile)
            write(*placed(self.job, item, labels[None], False))
        return len(roots)


@dataclass(frozen=True, slots=True)
class _Rim:
    """Labels on both sides of a core's edge: `before` and `after` pixels of it along `axis`.

    `at_edge` are the objects of the core that reach its edge.
    """

    labels: Labels
    axis: int
    before: int
    after: int
    at_edge: frozenset[int]

    def common(self, other: _Rim) -> tuple[Labels, Labels]:
        """The parts that two tiles' rims of one edge share; halos are clipped at the border."""
        before, after = min(self.before, other.before), min(self.after, other.after)
        first, second = (
            np.take(rim.labels, range(rim.before - before, rim.before + after), axis=self.axis)
            for rim in (self, other)
        )
        return first, second


def _rims(tile: Tile, labels: Labels) -> dict[str, _Rim]:
    """Strips along those edges of a core beyond which the window reaches."""
    rims = {}
    for axis, span, (low, high) in (
        (0, tile.y, ("top", "bottom")),
        (1, tile.x, ("left", "right")),
    ):
        sides = ((low, span.inner.start), (high, span.inner.stop))
        for side, edge in sides:
            reach = edge if side == low else span.window_size - edge
            if not reach:
                continue
            start, stop = max(edge - reach, 0), min(edge + reach, span.window_size)
            across = [*tile.inner]
            across[axis] = slice(start, stop)
            strip = labels[tuple(across)].copy()
            line = strip.take(edge - start if side == low else edge - start - 1, axis=axis)
            at_edge = frozenset(np.unique(line[line > 0]).tolist())
            rims[side] = _Rim(strip, axis, edge - start, stop - edge, at_edge)
    return rims


def _largest_extent(labels: Labels, tile: Tile) -> int:
    """Longest side of the bounding boxes of objects that touch the core."""
    from scipy import ndimage

    numbers = np.unique(labels[tile.inner])
    numbers = numbers[numbers > 0]
    if not len(numbers):
        return 0
    compact = np.searchsorted(numbers, labels)
    known = (compact < len(numbers)) & (numbers[np.minimum(compact, len(numbers) - 1)] == labels)
    boxes = ndimage.find_objects(np.where(known, compact + 1, 0))
    return max(int(s.stop - s.start) for box in boxes if box is not None for s in box)
