"""Tiles that overlap and are blended: each window once, and how far they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.blend import Blend, Values, blend_tiles, overlapping, reached, shared
from napari_tincture.grid import Grid, Span, Tile
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.tiling.inputs import Plane

PARTS_BYTES = 512 * 2**20
"""What parts of windows that others wait for may take, in bytes."""
Index = tuple[int, int]


class Blending:
    """Blends a job's windows, each of which is run once as long as memory holds its parts.

    Parameters
    ----------
    grid
        The job's.
    channels
        Of the network's output.

    Attributes
    ----------
    seams : Seams
        How far the windows lie apart.
    """

    def __init__(self, grid: Grid, channels: int) -> None:
        self._grid, self._channels = grid, channels
        self._parts = BlockCache(PARTS_BYTES)
        self._done: set[tuple[Plane, Index]] = set()
        self.seams = Seams()

    def block(self, plane: Plane, tile: Tile, run: Callable[[Tile], Values]) -> Values:
        """A block (c, y, x); `run` gives the network's output for a tile's whole window."""

        def part(neighbour: Tile) -> Values:
            known = self._parts.pop((plane, neighbour.index, tile.index))
            if known is not None:
                return known  # type: ignore[return-value]
            output = run(neighbour)
            self._keep(plane, neighbour, output, tile)
            return output[(slice(None), *shared(tile, neighbour)[1])]

        return self._noted(plane, tile, blend_tiles(self._grid, tile, part))

    def take(self, plane: Plane, tile: Tile, output: Values) -> Iterator[tuple[Tile, Values]]:
        """Take a window's output (c, y, x); give the blocks for which it was the last."""
        self._keep(plane, tile, output)
        for waiting in reached(self._grid, tile):
            around = [(plane, n.index, waiting.index) for n in overlapping(self._grid, waiting)]
            if (plane, waiting.index) not in self._done and all(k in self._parts for k in around):
                yield waiting, self.block(plane, waiting, _never)

    def walk(self) -> Iterator[Tile]:
        """All tiles in strips of columns, so narrow that what waits for others stays in memory."""
        rows, columns = self._grid.counts
        height, width = map(_longest, (self._grid.rows, self._grid.columns))
        # A row of whole windows waits for the next, of one more tile than the strip on either side.
        fitting = PARTS_BYTES // (4 * self._channels * height * width)
        step = max(fitting - 4, 1)
        for first in range(0, columns, step):
            for i in range(rows):
                yield from (self._grid[i, j] for j in range(first, min(first + step, columns)))

    def forget(self) -> None:
        """Forget all windows, because they were run with other values."""
        self._parts.clear()
        self._done.clear()

    def _keep(self, plane: Plane, tile: Tile, output: Values, but: Tile | None = None) -> None:
        for other in reached(self._grid, tile):
            if other != but and (plane, other.index) not in self._done:
                part = output[(slice(None), *shared(other, tile)[1])]
                self._parts.put((plane, tile.index, other.index), part.copy())

    def _noted(self, plane: Plane, tile: Tile, blend: Blend) -> Values:
        self._done.add((plane, tile.index))
        self.seams.note((*plane, *tile.index), blend)
        return blend.values


def _longest(spans: Iterable[Span]) -> int:
    return max(span.window_size for span in spans)


def _never(tile: Tile) -> Values:
    raise AssertionError(f"The window of tile {tile.index} has left before it was blended.")


class Seams:
    """How far the blended windows lie apart, tile by tile, so that each counts once.

    Of every tile and output channel: the largest and the sum of what `Blend` says, the number of
    pixels that are blended and of all, and the sums of the values and of their squares.
    """

    def __init__(self) -> None:
        self._of: dict[tuple[int, ...], npt.NDArray[np.float64]] = {}

    def note(self, key: tuple[int, ...], blend: Blend) -> None:
        """Take a block's figures."""
        values = blend.values.reshape(len(blend.values), -1)
        blended, pixels = (np.full_like(blend.total, n) for n in (blend.pixels, values.shape[1]))
        first = values.sum(1, dtype=np.float64)
        second = [float(np.dot(channel, channel)) for channel in values]
        self._of[key] = np.stack([blend.largest, blend.total, blended, pixels, first, second])

    def to_json(self) -> dict[str, Any]:
        """The figures of all tiles, for other processes."""
        return {",".join(map(str, key)): found.tolist() for key, found in self._of.items()}

    def summary(self, others: Iterable[Mapping[str, Any]], halo: int) -> dict[str, Any]:
        """All tiles together, with those of other processes; for the provenance.

        Returns
        -------
        dict
            ``overlap`` of the windows in pixels; how many ``tiles`` were measured; and one number
            per output channel: the windows' ``max`` and ``mean`` deviation from their blend, in
            values of the network's output, whose standard deviation is ``std``.
        """
        tiles = {key: figures for other in others for key, figures in other.items()}
        found = np.array([*{**tiles, **self.to_json()}.values()], np.float64)
        largest = found[:, 0].max(0)
        _, total, blended, pixels, first, second = found.sum(0)
        variance = np.maximum(second / pixels - (first / pixels) ** 2, 0)
        return {
            "overlap": 2 * halo,
            "tiles": len(found),
            "max": largest.tolist(),
            "mean": (total / np.maximum(blended, 1)).tolist(),
            "std": np.sqrt(variance).tolist(),
        }

    def __bool__(self) -> bool:
        return bool(self._of)
