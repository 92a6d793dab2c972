"""Mean squared error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Block, Metric
from napari_tincture.metrics.sums import SUMS, Sums, difference


class MeanSquaredError(Metric):
    """Mean over pixels of (image - reference)²; its map is the squared error."""

    statistic, columns, better = SUMS, ("mse",), "lower"
    maps = averaged = ("mse",)

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """In squared units of the values."""
        return {"mse": Sums.read(row).mse}

    def map(self, block: Block) -> Mapping[str, npt.NDArray[np.float32]]:
        """Squared error of every pixel."""
        return {"mse": np.square(difference(block)).astype(np.float32)}


METRIC = MeanSquaredError()
