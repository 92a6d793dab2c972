"""Figures of several images: mean and standard deviation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Average(NamedTuple):
    """A figure over several images.

    Attributes
    ----------
    mean
        Over the images that have the figure; NaN if none has.
    deviation
        Sample standard deviation, with n - 1; NaN of fewer than two.
    images
        How many have it.
    """

    mean: float
    deviation: float
    images: int

    def __str__(self) -> str:
        if not self.images:
            return "–"
        spread = "" if math.isnan(self.deviation) else f" ± {self.deviation:.2g}"
        return f"{self.mean:.4g}{spread} (n = {self.images})"


def average(values: Iterable[float | None]) -> Average:
    """Mean and deviation of the values that are numbers; None, NaN and infinity are left out."""
    some = [float(v) for v in values if v is not None and math.isfinite(v)]
    return Average(
        statistics.fmean(some) if some else math.nan,
        statistics.stdev(some) if len(some) > 1 else math.nan,
        len(some),
    )


def over_images(figures: Sequence[Mapping[str, float | None]]) -> dict[str, Average]:
    """Average each figure over images.

    Parameters
    ----------
    figures
        One mapping per image, such as the `Figures` of any metric of labels.

    Returns
    -------
    dict
        By name, in the order of their first image; images without a figure do not count in it.
    """
    names = dict.fromkeys(name for one in figures for name in one)
    return {name: average(one.get(name) for one in figures) for name in names}
