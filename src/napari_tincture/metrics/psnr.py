"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Metric
from napari_tincture.metrics.sums import SUMS, Sums


class PeakSignalToNoiseRatio(Metric):
    """10 · log₁₀(data range² / MSE)."""

    statistic, columns, better = SUMS, ("psnr",), "higher"
    perfect: ClassVar[Mapping[str, float | None]] = {"psnr": math.inf}

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """In dB; infinite for equal images."""
        mse = Sums.read(row).mse
        return {"psnr": 10 * math.log10(data_range**2 / mse) if mse else math.inf}


METRIC = PeakSignalToNoiseRatio()
