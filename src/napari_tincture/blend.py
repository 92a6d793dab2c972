"""Smooth windows, for networks whose tiles cannot equal the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Blend:
    """A block made of several windows, and how far these lie apart in it.

    Attributes
    ----------
    values
        (c, y, x) of the block.
    largest, total
        (c,) of the windows' mean absolute deviation from the blend, weighted as they are blended:
        over the pixels of which there is more than one, its maximum and its sum.
    pixels
        How many these are.
    """

    values: Values
    largest: npt.NDArray[np.float64]
    total: npt.NDArray[np.float64]
    pixels: int


def blend_tiles(grid: Grid, tile: Tile, part: Callable[[Tile], Values]) -> Blend:
    """Blend the outputs of all windows that overlap what `tile` keeps.

    Parameters
    ----------
    grid
        The grid of which `tile` is one.
    tile
        The tile whose block is wanted.
    part
        Gives what the network's output for a tile's window shares with the block, (c, y, x); see
        `shared`.
    """
    around = overlapping(grid, tile)
    places = [shared(tile, neighbour)[0] for neighbour in around]
    weights = _weights(grid, tile, around)
    whole = np.zeros((tile.y.size, tile.x.size), np.float32)
    count = np.zeros(whole.shape, np.uint8)
    for (y, x), weight in zip(places, weights, strict=True):
        whole[y, x] += weight
        count[y, x] += weight > 0
    np.maximum(whole, np.finfo(np.float32).tiny, out=whole)
    parts = [part(neighbour) for neighbour in around]
    values = np.zeros((len(parts[0]), *whole.shape), np.float32)
    for (y, x), weight, own in zip(places, weights, parts, strict=True):
        weight /= whole[y, x]
        values[:, y, x] += own * weight
    if len(around) == 1:
        return Blend(values, np.zeros(len(values)), np.zeros(len(values)), 0)
    apart = np.zeros_like(values)
    for (y, x), weight, own in zip(places, weights, parts, strict=True):
        apart[:, y, x] += np.abs(own - values[:, y, x]) * weight
    apart *= count > 1  # a sole window differs from itself by rounding
    sums = apart.sum((1, 2), dtype=np.float64)
    return Blend(values, apart.max((1, 2)).astype(np.float64), sums, int((count > 1).sum()))


def overlapping(grid: Grid, tile: Tile) -> list[Tile]:
    """All tiles whose windows overlap what `tile` keeps, itself included."""
    rows = [i for i, s in enumerate(grid.rows) if _meets(s, tile.y)]
    columns = [j for j, s in enumerate(grid.columns) if _meets(s, tile.x)]
    return [grid[i, j] for i in rows for j in columns]


def reached(grid: Grid, tile: Tile) -> list[Tile]:
    """All tiles of which `tile`'s window overlaps what they keep, itself included."""
    rows = [i for i, s in enumerate(grid.rows) if _meets(tile.y, s)]
    columns = [j for j, s in enumerate(grid.columns) if _meets(tile.x, s)]
    return [grid[i, j] for i in rows for j in columns]


Place = tuple[slice, slice]


def shared(tile: Tile, neighbour: Tile) -> tuple[Place, Place]:
    """Where a neighbour's window and what `tile` keeps overlap: in the block, in the window."""
    (ty, wy), (tx, wx) = (_overlap(t, n) for t, n in ((tile.y, neighbour.y), (tile.x, neighbour.x)))
    return (ty, tx), (wy, wx)


def _weights(grid: Grid, tile: Tile, around: list[Tile]) -> list[Values]:
    height, width = (grid.geometry.extended(n) for n in grid.shape)
    rim, found = grid.geometry.rim, []
    for neighbour in around:
        y, x = shared(tile, neighbour)[1]
        along_y, along_x = ramp(neighbour.y, height, rim), ramp(neighbour.x, width, rim)
        found.append(np.outer(along_y[y], along_x[x]))
    return found


def told(seams: Mapping[str, Any]) -> str:
    """Say in words what a result's provenance tells under ``"seams"``."""
    std = np.maximum(seams["std"], 1e-12)
    largest, mean = (float((np.asarray(seams[k]) / std).max()) for k in ("max", "mean"))
    return (
        f"tiles overlap by {seams['overlap']} pixels and are blended; there they lie up to "
        f"{largest:.2g}, on average {mean:.2g} standard deviations of the output off their blend"
    )


def _meets(span: Span, wanted: Span) -> bool:
    return span.window[0] < wanted.kept[1] and wanted.kept[0] < span.window[1]


def _overlap(wanted: Span, other: Span) -> tuple[slice, slice]:
    start = max(wanted.kept[0], other.window[0])
    stop = min(wanted.kept[1], other.window[1])
    return (
        slice(start - wanted.kept[0], stop - wanted.kept[0]),
        slice(start - other.window[0], stop - other.window[0]),
    )
