"""Root of the mean squared error."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Metric
from napari_tincture.metrics.sums import SUMS, Sums


class RootMeanSquaredError(Metric):
    """√MSE."""

    statistic, columns, better = SUMS, ("rmse",), "lower"

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """In the units of the values."""
        return {"rmse": math.sqrt(Sums.read(row).mse)}


METRIC = RootMeanSquaredError()
