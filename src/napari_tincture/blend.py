"""Smooth windows, for networks whose tiles cannot equal the whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from napari_tincture.grid import Grid, Span, Tile

Values = npt.NDArray[np.float32]


def ramp(span: Span, length: int, rim: int = 0) -> npt.NDArray[np.float32]:
    """Weights of a window along one axis: 1 inside, falling to 0 over twice the halo.

    Neighbouring windows' weights add up to 1 after division by their sum; a window that ends at
    the border of the image does not fall there. Within `rim` pixels of its edge the weight is 0.
    """
    start, stop = span.window
    position = np.arange(start, stop) + 0.5
    weight = np.ones(stop - start)
    before, after = (2 * (n - rim) for n in (span.core[0] - start, stop - span.core[1]))
    if start > 0 and before > 0:
        weight = np.minimum(weight, (position - start - rim) / before)
    if stop < length and after > 0:
        weight = np.minimum(weight, (stop - rim - position) / after)
    return (np.sin(np.clip(weight, 0, 1) * np.pi / 2) ** 2).astype(np.float32)


def blend_tiles(grid: Grid, tile: Tile, run: Callable[[Tile], Values]) -> Values:
    """Blend the outputs of all windows that overlap what `tile` keeps.

    Parameters
    ----------
    grid
        The grid of which `tile` is one.
    tile
        The tile whose block is wanted.
    run
        Gives the network's output (c, y, x) for a tile's whole window.

    Returns
    -------
    array
        (c, y, x) of the tile's kept part.
    """
    total: Values | None = None
    weights = np.zeros((tile.y.size, tile.x.size), np.float32)
    ends = tuple(grid.geometry.extended(n) for n in grid.shape)
    for neighbour in _overlapping(grid, tile):
        output = run(neighbour)
        along = zip((neighbour.y, neighbour.x), ends, strict=True)
        weight = np.outer(*(ramp(span, end, grid.geometry.rim) for span, end in along))
        (ty, wy), (tx, wx) = (
            _overlap(t, n) for t, n in ((tile.y, neighbour.y), (tile.x, neighbour.x))
        )
        if total is None:
            total = np.zeros((len(output), tile.y.size, tile.x.size), np.float32)
        total[:, ty, tx] += output[:, wy, wx] * weight[wy, wx]
        weights[ty, tx] += weight[wy, wx]
    assert total is not None
    total /= np.maximum(weights, np.finfo(np.float32).tiny)
    return total


def _overlapping(grid: Grid, tile: Tile) -> list[Tile]:
    rows = [i for i, s in enumerate(grid.rows) if _meets(s, tile.y)]
    columns = [j for j, s in enumerate(grid.columns) if _meets(s, tile.x)]
    return [grid[i, j] for i in rows for j in columns]


def _meets(span: Span, wanted: Span) -> bool:
    return span.window[0] < wanted.kept[1] and wanted.kept[0] < span.window[1]


def _overlap(wanted: Span, other: Span) -> tuple[slice, slice]:
    start = max(wanted.kept[0], other.window[0])
    stop = min(wanted.kept[1], other.window[1])
    return (
        slice(start - wanted.kept[0], stop - wanted.kept[0]),
        slice(start - other.window[0], stop - other.window[0]),
    )
