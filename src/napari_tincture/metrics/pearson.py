"""Pearson's correlation coefficient."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Metric, Undefined
from napari_tincture.metrics.sums import SUMS, Sums


class PearsonCorrelation(Metric):
    """Covariance over the product of the standard deviations."""

    statistic, columns, better = SUMS, ("pearson",), "higher"

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """-1 … 1; undefined where an image is constant."""
        sums = Sums.read(row)
        spreads = []
        for name in ("image", "reference"):
            spread = getattr(sums, f"{name}_spread")
            # What rounding leaves of a constant.
            if spread <= sums.pixels * (1e-13 * getattr(sums, name)) ** 2:
                raise Undefined(f"the {name} is constant")
            spreads.append(spread)
        # Of equal spreads both factors are exactly 1, which a product of two roots is not.
        r = sums.common_spread / spreads[1] * math.sqrt(spreads[1] / spreads[0])
        return {"pearson": max(-1.0, min(1.0, r))}


METRIC = PearsonCorrelation()
