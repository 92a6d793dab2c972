"""Root mean squared error, over the root mean square of the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Metric, Undefined
from napari_tincture.metrics.sums import SUMS, Sums


class NormalisedRootMeanSquaredError(Metric):
    """√(Σ (image - reference)² / Σ reference²): scikit-image's "euclidean" normalisation."""

    statistic, columns, better = SUMS, ("nrmse",), "lower"

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """Without unit; undefined where the reference is zero everywhere."""
        sums = Sums.read(row)
        if sums.reference_squared == 0:
            raise Undefined("the reference is zero everywhere")
        return {"nrmse": math.sqrt(sums.squared / sums.reference_squared)}


METRIC = NormalisedRootMeanSquaredError()
