"""Standard deviation of additive noise, from the mean."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics._local import LocalMean, mean_of, twice_laplacian
from napari_tincture.metrics.metric import Metric


def residue(v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Size of what the mask leaves; (y + 2, x + 2) to (y, x)."""
    return np.abs(twice_laplacian(v))


class Noise(Metric):
    """√(π/2) / 6 times the mean of |I * N|, N the difference of two Laplacians.

    Immerkær (1996), Fast noise variance estimation, equation 6: exact for white Gaussian noise on
    a smooth image. Texture and edges count as noise (`noise_robust` resists them), and blurred or
    clipped noise is found too small.
    """

    statistic, columns, better = LocalMean(residue), ("noise",), "lower"

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """In the units of the values; 0 for a constant image, undefined below 3 × 3 pixels."""
        return {"noise": math.sqrt(math.pi / 2) / 6 * mean_of(row)}


METRIC = Noise()
