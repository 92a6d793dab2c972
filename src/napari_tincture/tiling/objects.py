"""Objects across tiles: every tile segments more than its core, and neighbours are matched.

A window of maps, the core and a halo of at least the largest object, is segmented on its own.
An object gets the number of its first pixel in the plane, so that all tiles that see it whole
agree about it without talking to each other. Where a large object is cut by a window, the two
sides are matched by the label that each gives to the other's rim pixels, not by touching faces;
only objects that reach the edge between two cores are, as others may be cut by the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.grid import Grid, Tile
from napari_tincture.tiling.assemble import assembled
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.tiling.inputs import Inputs, Plane
from napari_tincture.tiling.job import CACHE_BYTES, Block, TileJob

Labels = npt.NDArray[np.int64]
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
    def how(self) -> dict[str, Any]:
        """How objects are found, JSON-serialisable, the same in every process."""
        step: Any = self.segment
        function = getattr(step, "func", step)
        return {
            "step": getattr(function, "__name__", type(function).__name__),
            "parameters": dict(getattr(step, "keywords", {})),
            "halo": self.halo,
        }

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
        return assembled(self.maps, self.grid, plane, tile.y.window, tile.x.window)

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
