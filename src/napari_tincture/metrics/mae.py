"""Mean absolute error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Block, Metric
from napari_tincture.metrics.sums import SUMS, Sums, difference


class MeanAbsoluteError(Metric):
    """Mean over pixels of |image - reference|; its map is the absolute error."""

    statistic, columns, better = SUMS, ("mae",), "lower"
    maps = averaged = ("mae",)

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """In the units of the values."""
        sums = Sums.read(row)
        return {"mae": sums.absolute / sums.pixels}

    def map(self, block: Block) -> Mapping[str, npt.NDArray[np.float32]]:
        """Absolute error of every pixel."""
        return {"mae": np.abs(difference(block)).astype(np.float32)}


METRIC = MeanAbsoluteError()
