"""Where marks are: rectangles around them, found without reading a large image at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_tincture.regrid import OnGrid
from napari_tincture.training.correction_set import Box

BLOCK = 1024
"""Side in pixels of what is read at once."""
CELL = 16
"""Side in pixels of squares that hold marks or do not."""


def marked_boxes(marks: OnGrid, least: int, margin: int) -> list[Box]:
    """Rectangles around marks and their surroundings, none of which overlap.

    Parameters
    ----------
    least
        Shortest side in pixels, where the image has as many.
    margin
        Pixels around the marks.
    """
    found = [_widened(box, marks.shape, least, margin) for box in _groups(marks, margin)]
    while True:
        joined = _joined(found)
        if len(joined) == len(found):
            return joined
        found = joined


def _groups(marks: OnGrid, margin: int) -> Iterator[Box]:
    """Rectangles around marks that lie near each other, rounded to cells."""
    from scipy import ndimage

    cells = _cells(marks)
    near = ndimage.binary_dilation(cells, np.ones((3, 3)), iterations=max(-(-margin // CELL), 1))
    groups, _ = ndimage.label(near, np.ones((3, 3)))
    height, width = marks.shape
    for rows, columns in ndimage.find_objects(np.where(cells, groups, 0)):
        y, x = (slice(s.start * CELL, s.stop * CELL) for s in (rows, columns))
        yield y.start, min(y.stop, height), x.start, min(x.stop, width)


def _cells(marks: OnGrid) -> NDArray[np.bool_]:
    """Which cells hold a mark."""
    height, width = marks.shape
    found = np.zeros((-(-height // CELL), -(-width // CELL)), bool)
    for top, left in product(range(0, height, BLOCK), range(0, width, BLOCK)):
        place = slice(top, min(top + BLOCK, height)), slice(left, min(left + BLOCK, width))
        there = marks(place).values[0] != 0
        for axis in (0, 1):
            starts = np.arange(0, there.shape[axis], CELL)
            there = np.logical_or.reduceat(there, starts, axis=axis)
        rows, columns = there.shape
        found[top // CELL :, left // CELL :][:rows, :columns] = there
    return found


def _widened(box: Box, shape: tuple[int, int], least: int, margin: int) -> Box:
    y = _line(box[0], box[1], shape[0], least, margin)
    return *y, *_line(box[2], box[3], shape[1], least, margin)


def _line(start: int, stop: int, length: int, least: int, margin: int) -> tuple[int, int]:
    size = min(max(stop - start + 2 * margin, least), length)
    first = min(max((start + stop - size) // 2, 0), length - size)
    return first, first + size


def _joined(boxes: Sequence[Box]) -> list[Box]:
    """The boxes, those that overlap as the one around them."""
    found: list[Box] = []
    for box in boxes:
        over = [other for other in found if _overlap(box, other)]
        found = [other for other in found if other not in over]
        around = np.array([box, *over])
        low, high = around.min(0).tolist(), around.max(0).tolist()
        found.append((low[0], high[1], low[2], high[3]))
    return found


def _overlap(one: Box, other: Box) -> bool:
    rows = one[0] < other[1] and other[0] < one[1]
    return rows and one[2] < other[3] and other[2] < one[3]
