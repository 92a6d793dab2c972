"""Where in a picture crops may lie: how much of any window a map covers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_tincture.tiling.cache import BlockCache
from napari_tincture.training.images.pictures import Picture

Extent = tuple[int, int]
"""Height and width in pixels."""
CELLS = 2**20
"""Most cells of a mask's map; cells are single pixels up to 1024 × 1024."""
TRIES = 64
"""Random places that are tried before all are."""
BAND = 2**18
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Coverage:
    """Shares of windows that a map covers; within a cell the map is constant.

    Attributes
    ----------
    integral
        Sums of the map over all cells above and left of a corner, (rows + 1, columns + 1).
    cell
        Height and width of a cell in pixels.
    """

    integral: NDArray[np.float64]
    cell: tuple[float, float]

    @classmethod
    def of(cls, values: NDArray[np.floating], cell: tuple[float, float]) -> Coverage:
        """Make it of the covered share of each cell."""
        integral = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
        integral[1:, 1:] = values.astype(np.float64).cumsum(0).cumsum(1)
        return cls(integral, cell)

    def scaled(self, factor: tuple[float, float]) -> Coverage:
        """The same of a picture that is made larger by a factor along y and x."""
        return replace(self, cell=(self.cell[0] * factor[0], self.cell[1] * factor[1]))

    def share(
        self, y: NDArray[np.integer], x: NDArray[np.integer], extent: Extent
    ) -> NDArray[np.float64]:
        """Covered share of windows of one extent with their first pixels at y, x."""
        (height, width), (cell_y, cell_x) = extent, self.cell
        top, bottom = y / cell_y, (y + height) / cell_y
        left, right = x / cell_x, (x + width) / cell_x
        total = self._up_to(bottom, right) - self._up_to(top, right)
        total -= self._up_to(bottom, left) - self._up_to(top, left)
        return total * (cell_y * cell_x / (height * width))

    def _up_to(self, y: NDArray[np.floating], x: NDArray[np.floating]) -> NDArray[np.float64]:
        i, s = _cell_and_rest(y, len(self.integral))
        j, t = _cell_and_rest(x, self.integral.shape[1])
        above = (1 - t) * self.integral[i, j] + t * self.integral[i, j + 1]
        below = (1 - t) * self.integral[i + 1, j] + t * self.integral[i + 1, j + 1]
        result: NDArray[np.float64] = (1 - s) * above + s * below
        return result


@dataclass(frozen=True, eq=False)
class Condition:
    """A share of a crop's window that must lie between two limits."""

    coverage: Coverage
    low: float
    high: float

    def is_possible(self, extent: Extent) -> bool:
        """Whether all that is covered would suffice if it lay together."""
        cell = self.coverage.cell[0] * self.coverage.cell[1]
        covered = float(self.coverage.integral[-1, -1]) * cell
        return covered >= self.low * extent[0] * extent[1] - ROUNDING

    def holds(
        self, y: NDArray[np.integer], x: NDArray[np.integer], extent: Extent
    ) -> NDArray[np.bool_]:
        """Whether it does for windows at y, x."""
        share = self.coverage.share(y, x, extent)
        return (share >= self.low - ROUNDING) & (share <= self.high + ROUNDING)


class Maps:
    """One map per picture, made when first asked for; those of which there is room are kept."""

    def __init__(self, make: Callable[[Picture], Coverage], limit: int = 2**27) -> None:
        self._make, self._kept = make, BlockCache(limit)
        self._cells: dict[Picture, tuple[float, float]] = {}

    def __call__(self, picture: Picture) -> Coverage:
        """The map of a picture."""
        integral = self._kept.get(picture)
        if integral is not None:
            return Coverage(np.asarray(integral, np.float64), self._cells[picture])
        found = self._make(picture)
        self._cells[picture] = found.cell
        self._kept.put(picture, found.integral)
        return found


def excluded(picture: Picture, keep: Sequence[int] | None) -> Coverage:
    """What a picture's mask leaves out.

    Masks of up to 2**20 pixels are followed exactly; of larger ones cells of some pixels, of each
    of which the excluded share counts.
    """
    assert picture.mask is not None
    height, width = picture.shape
    cell = math.ceil(math.sqrt(height * width / CELLS))
    bands = []
    for start in range(0, height, cell * 64):
        stop = min(start + cell * 64, height)
        labels = picture.mask.raw(slice(start, stop), slice(0, width))[0]
        out = labels != 0 if keep is None else ~np.isin(labels, np.asarray(keep))
        bands.append(cell_means(out.astype(np.float32), cell))
    return Coverage.of(np.concatenate(bands), (cell, cell))


def cell_means(values: NDArray[np.floating], cell: int) -> NDArray[np.float64]:
    """Means of (…, y, x) over square cells, the last ones of what is left."""
    for axis in (-2, -1):
        length = values.shape[axis]
        starts = np.arange(0, length, cell)
        sums = np.add.reduceat(values, starts, axis=axis, dtype=np.float64)
        counts = np.diff(np.append(starts, length))
        values = sums / (counts[:, None] if axis == -2 else counts)
    return np.asarray(values, np.float64)


def random_place(
    rng: np.random.Generator, positions: tuple[int, int], extent: Extent,
    conditions: Sequence[Condition],
) -> tuple[int, int] | None:  # fmt: skip
    """A place at which all conditions hold, uniform among them; None if random tries fail.

    Parameters
    ----------
    positions
        How many places there are along y and x.
    extent
        Of the window.
    """
    tries = TRIES if conditions else 1
    y, x = (rng.integers(count, size=tries) for count in positions)
    good = np.ones(tries, bool)
    for condition in conditions:
        good &= condition.holds(y, x, extent)
    first = int(good.argmax())
    return (int(y[first]), int(x[first])) if good[first] else None


def all_places(
    positions: tuple[int, int], extent: Extent, conditions: Sequence[Condition]
) -> NDArray[np.int32]:
    """All places (n, 2) at which all conditions hold; of more than 2**22, evenly spaced ones."""
    step = max(math.ceil(math.sqrt(positions[0] * positions[1] / 2**22)), 1)
    rows, columns = (np.unique([*range(0, n, step), n - 1]) for n in positions)
    found = []
    for band in np.array_split(rows, max(len(rows) * len(columns) // BAND, 1)):
        y, x = band[:, None], columns[None]
        good = np.ones((len(band), len(columns)), bool)
        for condition in conditions:
            good &= condition.holds(y, x, extent)
        i, j = np.nonzero(good)
        found.append(np.stack([band[i], columns[j]], axis=1).astype(np.int32))
    return np.concatenate(found)


def _cell_and_rest(
    place: NDArray[np.floating], corners: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    # Windows that reach over the edge are mirrored there; what lies outside counts as not covered.
    inside = np.clip(place, 0, corners - 1)
    cell = np.minimum(inside.astype(np.intp), corners - 2)
    return cell, inside - cell
