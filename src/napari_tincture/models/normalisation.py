"""How image values become the network's.

No torch here: napari's process reads cards, which say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tincture.errors import InputError, ModelError

Kind = Literal["none", "range", "dtype", "percentile", "standard"]
SMALLEST_SPREAD = 1e-6
"""A flat channel is mapped with this spread instead of dividing by zero."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How image values become the network's, per channel and over the whole plane.

    Attributes
    ----------
    kind
        ``"none"``: as they are. ``"range"``: `low` and `high` are values, mapped to `target`.
        ``"dtype"``: the limits of the integer type (0 and 1 for floats) are mapped to `target`.
        ``"percentile"``: `low` and `high` are percentiles, mapped to `target`.
        ``"standard"``: mean 0 and standard deviation 1.
    clip
        Limits after mapping, or None.
    """

    kind: Kind = "none"
    low: float = 0.0
    high: float = 1.0
    target: tuple[float, float] = (0.0, 1.0)
    clip: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ModelError(
                f"Unknown normalisation {self.kind!r}: choose one of {', '.join(get_args(Kind))}."
            )
        if self.kind in ("range", "percentile") and not self.low < self.high:
            raise ModelError(f"Normalisation needs low < high, got {self.low} and {self.high}.")

    @property
    def needs_image(self) -> bool:
        """Whether `affine` needs statistics of the whole plane."""
        return self.kind in ("percentile", "standard")

    @property
    def span(self) -> tuple[float, float]:
        """The range of values after mapping; of "standard" the usual four deviations around 0."""
        if self.kind == "standard":
            return -2.0, 2.0
        return self.clip or ((0.0, 1.0) if self.kind == "none" else self.target)

    @property
    def unchanged(self) -> tuple[float, float]:
        """Statistics with which `affine` leaves values as they are."""
        return (0.0, 1.0) if self.kind in ("none", "standard") else self.target

    def measure(self, image: ArrayLike) -> NDArray[np.float64]:
        """Statistics of a whole plane (c, y, x): one row of two numbers per channel.

        Rows are the low and high percentile, the mean and standard deviation, or the limits
        that do not depend on the image. Integer types are kept for ``"dtype"``.
        """
        planes = np.asarray(image)
        if planes.ndim != 3 or planes.size == 0:
            raise InputError(f"Expected a plane (c, y, x) with pixels, got shape {planes.shape}.")
        rows = [self._measure_channel(plane) for plane in planes]
        return np.asarray(rows, dtype=np.float64).reshape(len(planes), 2)

    def _measure_channel(self, plane: NDArray[Any]) -> tuple[float, float]:
        if not self.needs_image:
            return self.limits(plane.dtype)
        if plane.dtype.kind not in "biu" or plane.dtype.itemsize > 2:
            return self._measure_values(plane.astype(np.float64))
        values, counts = _tally(plane)
        if self.kind == "percentile":
            low, high = _percentiles(values, counts, (self.low, self.high))
            return low, high
        count = counts.sum()
        mean = float(values @ counts / count)
        return mean, float(np.sqrt((values - mean) ** 2 @ counts / count))

    def _measure_values(self, plane: NDArray[np.float64]) -> tuple[float, float]:
        if self.kind == "percentile":
            low, high = np.percentile(plane, [self.low, self.high])
            return float(low), float(high)
        return float(plane.mean()), float(plane.std())

    def limits(self, dtype: np.dtype[Any] | str) -> tuple[float, float]:
        """The two numbers of `measure` where they do not depend on the image."""
        if self.kind == "range":
            return self.low, self.high
        kind = np.dtype(dtype)
        if self.kind == "dtype" and kind.kind in "iu":
            return float(np.iinfo(kind).min), float(np.iinfo(kind).max)
        return 0.0, 1.0

    def affine(self, stats: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gain and offset per channel, from the statistics that `measure` gives.

        Returns
        -------
        gain, offset
            (c,) float64 each; the network's value is ``clip(value * gain + offset)``.
        """
        rows = np.asarray(stats, dtype=np.float64)
        first, second = rows[:, 0], rows[:, 1]
        if self.kind == "none":
            return np.ones_like(first), np.zeros_like(first)
        if self.kind == "standard":
            gain = 1 / np.maximum(second, SMALLEST_SPREAD)
            return gain, -first * gain
        low, high = self.target
        gain = (high - low) / np.maximum(second - first, SMALLEST_SPREAD)
        return gain, low - first * gain


def _tally(plane: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values of a plane of integers of up to 16 bits, ascending, and how often each occurs.

    Counting takes one pass, many times faster than sorting or summing in double precision; the
    statistics that follow are exact all the same.
    """
    unsigned = plane.dtype.kind in "bu"
    lowest = 0 if unsigned else int(np.iinfo(plane.dtype).min)
    bins = 2 ** (8 * plane.dtype.itemsize)
    counts = np.zeros(bins, np.int64)
    for rows in np.array_split(plane, max(plane.size // 2**18, 1)):
        places = rows.ravel() if unsigned else rows.ravel().astype(np.int32) - lowest
        counts += np.bincount(places, minlength=bins)
    found = counts > 0
    return (np.flatnonzero(found) + lowest).astype(np.float64), counts[found]


def _percentiles(
    values: NDArray[np.float64], counts: NDArray[np.int64], wanted: tuple[float, ...]
) -> list[float]:
    """Percentiles with linear interpolation, as `numpy.percentile` has them."""
    last = np.cumsum(counts) - 1
    result = []
    for percentile in wanted:
        place = percentile / 100 * last[-1]
        below = int(np.floor(place))
        first, second = (
            values[np.searchsorted(last, min(index, last[-1]))] for index in (below, below + 1)
        )
        result.append(float(first + (second - first) * (place - below)))
    return result
