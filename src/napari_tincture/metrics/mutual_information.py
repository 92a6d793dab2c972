"""Mutual information of the values of two images.

Studholme, Hill, Hawkes (1999), An overlap invariant entropy measure of 3D medical image alignment,
equations 3 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import NO_PIXELS, Block, Metric, State, Statistic, Undefined

BINS = 64
_PAIRS = BINS * BINS
_REGIONS = 2**15
"""Whose histograms fill a gigabyte."""


@dataclass(frozen=True)
class JointHistogram(Statistic):
    """Pixels per pair of bins, the image's bin first; a row of 64 · 64 counts per region.

    The bins divide the data range, which starts at the data type's least value for integers and
    at 0 for floating point. They hold their lower limit, and the last one its upper, too. Values
    outside go to the bins at the ends: state a data range that holds them.
    """

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 4096).

        Raises
        ------
        InputError
            If there are more regions than memory should be spent on.
        """
        if block.count > _REGIONS:
            raise InputError(
                f"Mutual information of {block.count} regions, each with a histogram of {_PAIRS} "
                f"numbers, was asked for; at most {_REGIONS} are possible. Use larger regions."
            )
        pairs = bins(block.image[block.core], block.data_range).astype(np.int64)
        pairs *= BINS
        pairs += bins(block.reference[block.core], block.data_range)
        flat = pairs.ravel()
        if block.regions is not None:
            chosen = block.regions.ravel() >= 0
            flat = flat[chosen] + _PAIRS * block.regions.ravel()[chosen].astype(np.int64)
        counts = np.bincount(flat, minlength=block.count * _PAIRS)
        return counts.reshape(block.count, _PAIRS).astype(np.float64)


def bins(values: npt.NDArray[np.generic], data_range: float) -> npt.NDArray[np.uint8]:
    """Bin of every value, 0 … 63."""
    if values.dtype.kind not in "ui":
        return _binned(values.astype(np.float64), data_range)
    limits = np.iinfo(values.dtype)  # type: ignore[type-var]
    if values.dtype.itemsize > 2:
        return _binned(values.astype(np.float64) - limits.min, data_range)
    table = _binned(np.arange(limits.max - limits.min + 1, dtype=np.float64), data_range)
    # Of a signed type, values below 0 count from the table's end.
    found: npt.NDArray[np.uint8] = np.roll(table, limits.min)[values]
    return found


def _binned(values: npt.NDArray[np.float64], data_range: float) -> npt.NDArray[np.uint8]:
    return np.clip(values * (BINS / data_range), 0, BINS - 1).astype(np.uint8)


class MutualInformation(Metric):
    """H(image) + H(reference) - H(both), and (H(image) + H(reference)) / H(both)."""

    statistic, columns, better = (
        JointHistogram(), ("mutual_information", "normalised_mutual_information"), "higher",
    )  # fmt: skip
    perfect: ClassVar[Mapping[str, float | None]] = {
        "mutual_information": None,
        "normalised_mutual_information": 2.0,
    }

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """In nats, from 0; and, without unit, 1 … 2.

        Undefined where both images are constant, that is, in one bin; the entropies are then 0.
        """
        if not row.any():
            raise Undefined(NO_PIXELS)
        joint = row.reshape(BINS, BINS)
        both = _entropy(joint)
        if not both:
            raise Undefined("the values of each image lie in a single bin")
        apart = _entropy(joint.sum(axis=1)) + _entropy(joint.sum(axis=0))
        return {
            "mutual_information": max(apart - both, 0.0),
            "normalised_mutual_information": max(apart / both, 1.0),
        }


def _entropy(counts: npt.NDArray[np.float64]) -> float:
    parts = counts[counts > 0] / counts.sum()
    return -float((parts * np.log(parts)).sum())


METRIC = MutualInformation()
"""Of 64 bins."""
