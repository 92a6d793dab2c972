"""A window of a job's result, put together from the blocks that it touches."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.grid import Grid, Span
from napari_tincture.tiling.inputs import Plane
from napari_tincture.tiling.lazy import BlockJob


def assembled(
    job: BlockJob, grid: Grid, plane: Plane, y: tuple[int, int], x: tuple[int, int]
) -> npt.NDArray[Any]:
    """Values (c, y, x) between edges along y and x.

    Parameters
    ----------
    job
        Gives the blocks.
    grid
        Where they lie, in the coordinates of the edges.
    plane, y, x
        What is wanted.
    """
    result: npt.NDArray[Any] | None = None
    for i, inside_y, within_y in _touched(grid.rows, y):
        for j, inside_x, within_x in _touched(grid.columns, x):
            block = job.block(plane, (i, j))
            if result is None:
                result = np.empty((len(block), y[1] - y[0], x[1] - x[0]), block.dtype)
            result[:, inside_y, inside_x] = block[:, within_y, within_x]
    assert result is not None
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
