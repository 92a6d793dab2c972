"""Where labelled pixels are: crops are drawn around them, however few there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_tincture.errors import InputError
from napari_tincture.training.images.coverage import CELLS, Condition, Extent
from napari_tincture.training.images.names import listed
from napari_tincture.training.labels.labelling import MOST_CLASSES
from napari_tincture.training.labels.pictures import LabelPicture

ANY = "any"
"""A wish for pixels of any class."""
Wish = int | str | None
"""Number of a class, `ANY`, True for foreground (of images that are no labels), or None."""
CELL = 8
"""Least side in pixels of the squares that places are kept by."""
TRIES = 64
BAND = 64
"""Rows of cells that are read at once."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Squares with labelled pixels of one picture.

    Attributes
    ----------
    corners
        First pixels (n, 2).
    counts
        Pixels of each class in each, (classes, n).
    side
        Of the squares.
    """

    corners: NDArray[np.int64]
    counts: NDArray[np.int64]
    side: int

    @classmethod
    def of(cls, picture: LabelPicture) -> Cells:
        """Read all labels of a picture, band by band."""
        height, width = picture.shape
        side = max(CELL, math.ceil(math.sqrt(height * width / CELLS)))
        corners, counts = [], []
        kinds = picture.channels if picture.labelling.target == "classes" else 2
        for start in range(0, height, side * BAND):
            rows = slice(start, min(start + side * BAND, height))
            found = picture.classes(rows, slice(0, width))
            sums = np.stack([_cell_sums(found == kind, side) for kind in range(kinds)])
            i, j = np.nonzero(sums.any(0))
            corners.append(np.stack([i * side + start, j * side], axis=1))
            counts.append(sums[:, i, j])
        return cls(np.concatenate(corners), np.concatenate(counts, axis=1), side)

    @property
    def pixels(self) -> NDArray[np.int64]:
        """Labelled pixels of each class, (classes,)."""
        result: NDArray[np.int64] = self.counts.sum(axis=1)
        return result


class LabelPlaces:
    """Places of crops that show labels; of each picture found when first asked for."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[LabelPicture, tuple[Cells, NDArray[np.int64]]]
        self._known = WeakKeyDictionary()

    def draw(
        self, rng: np.random.Generator, picture: LabelPicture, wish: Wish, shape: Extent,
        extent: Extent, conditions: Sequence[Condition],
    ) -> tuple[int, int] | None:  # fmt: skip
        """First pixel of a window that shows a class, or any; None where there is none.

        Every labelled pixel of the class is as likely as others to be the one that a window is
        drawn around.

        Parameters
        ----------
        shape, extent
            Of the image, perhaps resized, and of the window, in its pixels.
        conditions
            That must hold there, too.
        """
        cells, sums = self._sums(picture)
        own = sums[-1] if wish == ANY or not isinstance(wish, int) else sums[wish]
        if not len(own) or not own[-1]:
            return None
        factor = [new / old for new, old in zip(shape, picture.shape, strict=True)]
        for _ in range(TRIES):
            cell = int(np.searchsorted(own, rng.integers(own[-1]), "right"))
            y, x = (
                _around(rng, int(first) * f, cells.side * f, length, window)
                for first, f, length, window in zip(
                    cells.corners[cell], factor, shape, extent, strict=True
                )
            )
            inside = np.array([max(y, 0)]), np.array([max(x, 0)])
            if all(condition.holds(*inside, extent)[0] for condition in conditions):
                return y, x
        return None

    def _sums(self, picture: LabelPicture) -> tuple[Cells, NDArray[np.int64]]:
        if picture not in self._known:
            cells = Cells.of(picture)
            counts = np.concatenate([cells.counts, cells.counts.sum(axis=0, keepdims=True)])
            self._known[picture] = cells, counts.cumsum(axis=1)
        return self._known[picture]


def _around(
    rng: np.random.Generator, first: float, side: float, length: int, window: int
) -> int:  # fmt: skip
    """Start of a window that holds a square, or some of it, and stays in the image if it can."""
    if window >= length:
        # A window larger than the picture has its middle there.
        return (length - window) // 2
    low = math.ceil(first + side - window)
    high = math.floor(first)
    start = low + int(rng.integers(max(high - low, 0) + 1))
    return min(max(start, 0), length - window)


def values_in(pictures: Sequence[LabelPicture], *, open_end: bool = False) -> dict[int, int]:
    """All values of some pictures, and how many pixels have each.

    Parameters
    ----------
    open_end
        Whether there may be any number of values, for which of them are classes is known.

    Raises
    ------
    InputError
        If there are so many that they are objects rather than classes.
    """
    counts: dict[int, int] = {}
    for picture in pictures:
        for labels, there in picture.bands():
            known = labels if there is None else labels[there]
            values, numbers = np.unique(known, return_counts=True)
            for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
                counts[int(value)] = counts.get(int(value), 0) + number
            if not open_end and len(counts) > MOST_CLASSES + 1:
                raise InputError(
                    f"The labels {picture.name!r} and others hold more than {MOST_CLASSES} "
                    f"values, such as {listed([str(v) for v in sorted(counts)[-5:]])}. If these "
                    "are objects with a number each, choose target='instances'; else name the "
                    "classes."
                )
    return counts


def _cell_sums(shown: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    sums = np.add.reduceat(shown, np.arange(0, shown.shape[0], side), axis=0, dtype=np.int64)
    result: NDArray[np.int64] = np.add.reduceat(
        sums, np.arange(0, shown.shape[1], side), axis=1, dtype=np.int64
    )
    return result
