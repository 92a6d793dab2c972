"""Painted classes of an image of any size: as much is kept as was painted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_tincture.training.labels.labelling import UNKNOWN

BLOCK = 128
"""Side in pixels of the squares that strokes are kept in."""
Key = tuple[tuple[int, ...], int, int]
"""Plane, and row and column of a square."""


class Strokes:
    """Numbers of classes of pixels, -1 where nothing is painted.

    Parameters
    ----------
    shape
        Height and width of the planes, in pixels.
    count
        Number of classes.
    """

    def __init__(self, shape: tuple[int, int], count: int) -> None:
        self.shape, self._count = shape, count
        self._blocks: dict[Key, NDArray[np.int16]] = {}
        self._pixels: dict[Key, NDArray[np.int64]] = {}

    def put(self, plane: tuple[int, ...], y: int, x: int, classes: NDArray[np.int16]) -> None:
        """Replace what is painted at a place, by classes (y, x) or -1 for nothing."""
        height, width = classes.shape
        for i in range(y // BLOCK, -(-(y + height) // BLOCK)):
            for j in range(x // BLOCK, -(-(x + width) // BLOCK)):
                rows, columns = _common(i, y, height), _common(j, x, width)
                new = classes[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
                self._write((plane, i, j), rows, columns, new)

    def get(self, plane: tuple[int, ...], y: slice, x: slice) -> NDArray[np.int16]:
        """What is painted in a window (y, x), which may leave the plane."""
        result = np.full((y.stop - y.start, x.stop - x.start), UNKNOWN, np.int16)
        for i in range(y.start // BLOCK, -(-y.stop // BLOCK)):
            for j in range(x.start // BLOCK, -(-x.stop // BLOCK)):
                block = self._blocks.get((plane, i, j))
                if block is None:
                    continue
                rows = _common(i, y.start, y.stop - y.start)
                columns = _common(j, x.start, x.stop - x.start)
                result[
                    rows.start - y.start : rows.stop - y.start,
                    columns.start - x.start : columns.stop - x.start,
                ] = block[
                    rows.start - i * BLOCK : rows.stop - i * BLOCK,
                    columns.start - j * BLOCK : columns.stop - j * BLOCK,
                ]
        return result

    @property
    def pixels(self) -> NDArray[np.int64]:
        """Painted pixels of each class, (classes,)."""
        total = np.zeros(self._count, np.int64)
        for counts in self._pixels.values():
            total += counts
        return total

    @property
    def blocks(self) -> list[Key]:
        """Squares in which something is painted, sorted."""
        return sorted(key for key, counts in self._pixels.items() if counts.any())

    def draw(
        self, rng: np.random.Generator, classes: Sequence[int]
    ) -> tuple[tuple[int, ...], int, int]:
        """A painted pixel: plane, y and x. Classes that are painted are equally likely.

        Squares count by the square root of what is painted in them, so that strokes at many
        places weigh more than one large area.
        """
        wanted = int(rng.choice(classes))
        keys = [key for key in self.blocks if self._pixels[key][wanted]]
        odds = np.sqrt([float(self._pixels[key][wanted]) for key in keys])
        plane, i, j = keys[int(rng.choice(len(keys), p=odds / odds.sum()))]
        y, x = np.nonzero(self._blocks[plane, i, j] == wanted)
        place = int(rng.integers(len(y)))
        return plane, i * BLOCK + int(y[place]), j * BLOCK + int(x[place])

    def _write(self, key: Key, rows: slice, columns: slice, new: NDArray[np.int16]) -> None:
        block = self._blocks.get(key)
        if block is None:
            if (new == UNKNOWN).all():
                return
            block = self._blocks[key] = np.full((BLOCK, BLOCK), UNKNOWN, np.int16)
        top, left = key[1] * BLOCK, key[2] * BLOCK
        block[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = new
        self._pixels[key] = np.bincount(block[block != UNKNOWN], minlength=self._count)


def _common(index: int, start: int, length: int) -> slice:
    """Pixels that a square and a window share."""
    return slice(max(index * BLOCK, start), min((index + 1) * BLOCK, start + length))
