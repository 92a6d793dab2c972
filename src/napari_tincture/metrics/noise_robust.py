"""Standard deviation of additive noise, from the median."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics._local import neighbourhood, twice_laplacian
from napari_tincture.metrics.metric import Block, Metric, State, Statistic, Undefined

FINE = 6
"""Bits: up to 2^FINE steps each has a bin; above, each doubling has half as many bins."""
BINS = (1 << FINE) + 18 * (1 << FINE - 1)
STEPS = 20
"""Bits: a step is so small a part of the data range, or 1 of integers if that is more."""
REGIONS = 2**16
"""Whose histograms fill a third of a gigabyte."""
NORMAL = 0.6744897501960817
"""Median of |x| of a normal variable with standard deviation 1."""


@dataclass(frozen=True)
class Residues(Statistic):
    """Size of a step, and the histogram of |I * N| in steps, in bins that widen with the value.

    No bin is wider than 1/32 of its value, so the median within is good to about 0.1 %.
    """

    margin = 1
    alone = True

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 1 + bins).

        Raises
        ------
        InputError
            If there are more regions than memory should be spent on.
        """
        if block.count > REGIONS:
            raise InputError(
                f"Robust noise of {block.count} regions, each with a histogram of {BINS} bins, was "
                f"asked for; at most {REGIONS} are possible. Use larger regions, or 'noise'."
            )
        part = block.inner(1)
        values = np.abs(twice_laplacian(neighbourhood(block, part)))
        step = math.ldexp(block.data_range, -STEPS)
        if block.image.dtype.kind in "iub":
            step = max(step, 1.0)
        bins = _bin(np.minimum(np.rint(values / step), 2.0 ** (FINE + 18) - 1).astype(np.int64))
        rows = np.zeros((block.count, 1 + BINS))
        rows[:, 0] = step
        if block.regions is None:
            rows[0, 1:] = np.bincount(bins.ravel(), minlength=BINS)
            return rows
        regions = block.regions[part]
        chosen = regions >= 0
        flat = regions[chosen].astype(np.int64) * BINS + bins[chosen]
        rows[:, 1:] = np.bincount(flat, minlength=block.count * BINS).reshape(-1, BINS)
        return rows

    def merge(self, one: State, other: State) -> State:
        """Join two parts."""
        return np.concatenate([one[:, :1], one[:, 1:] + other[:, 1:]], axis=1)


def _bin(n: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    shift = np.maximum(np.frexp(n.astype(np.float64))[1] - FINE, 0)
    result: npt.NDArray[np.int64] = (shift << FINE - 1) + (n >> shift)
    return result


def _edges() -> npt.NDArray[np.float64]:
    """Where bins begin, and the last ends, in steps; rounding puts each half a step lower."""
    half = 1 << FINE - 1
    bins = np.arange(BINS + 1)
    shift = np.maximum(bins // half - 1, 0)
    starts = (bins - shift * half) << shift
    result: npt.NDArray[np.float64] = np.maximum(starts - 0.5, 0.0)
    return result


class RobustNoise(Metric):
    """Median of |I * N| over 6 · 0.6745, N the difference of two Laplacians.

    The mask of Immerkær (1996), Fast noise variance estimation, with the median absolute deviation
    of Donoho and Johnstone (1994) in place of the mean: edges and texture that fill less than half
    of the image hardly count. The median is read off a histogram, to about 0.1 %, and within
    the step of the integers.
    """

    statistic, columns, better = Residues(), ("noise_robust",), "lower"

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """In the units of the values; 0 for a constant image, undefined below 3 × 3 pixels."""
        step, counts = row[0], row[1:]
        total = counts.sum()
        if not total:
            raise Undefined("no window of 3 × 3 pixels fits")
        if counts[0] == total:
            return {"noise_robust": 0.0}
        below = np.concatenate([[0.0], np.cumsum(counts)])
        found = int(np.searchsorted(below, total / 2)) - 1
        edges = _edges()[found : found + 2]
        median = edges[0] + (total / 2 - below[found]) / counts[found] * (edges[1] - edges[0])
        return {"noise_robust": float(median * step / (6 * NORMAL))}


METRIC = RobustNoise()
