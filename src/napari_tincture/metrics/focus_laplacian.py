"""Focus: variance of the Laplacian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics._local import laplacian, neighbourhood
from napari_tincture.metrics.metric import Block, Metric, State, Statistic, Undefined


@dataclass(frozen=True)
class LaplacianSpread(Statistic):
    """Number, mean and sum of squares about the mean of the Laplacian.

    Parts are merged by the pairwise formulas of Chan, Golub and LeVeque (1979).
    """

    margin = 1
    alone = True

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 3)."""
        part = block.inner(1)
        values = laplacian(neighbourhood(block, part))
        n = block.pixels(part)
        means = np.divide(block.sums(values[None], part), n, out=np.zeros_like(n), where=n > 0)
        # Pixels of no region take any mean, for they do not count.
        values -= means[0 if block.regions is None else block.regions[part], 0]
        values *= values
        return np.concatenate([n, means, block.sums(values[None], part)], axis=1)

    def merge(self, one: State, other: State) -> State:
        """Join two parts."""
        n1, n2 = one[:, :1], other[:, :1]
        n = n1 + n2
        share = np.divide(n2, n, out=np.zeros_like(n), where=n > 0)
        step = other[:, 1:2] - one[:, 1:2]
        spread = one[:, 2:] + other[:, 2:] + step * step * n1 * share
        return np.concatenate([n, one[:, 1:2] + step * share, spread], axis=1)


class LaplacianVariance(Metric):
    """Variance of the sum of the four neighbours minus four times the pixel.

    Pech-Pacheco et al. (2000), Diatom autofocusing in brightfield microscopy: a comparative study;
    of the values themselves and without the factor 1/6 of the mask, as has become usual (Pertuz et
    al., 2013, LAP4; there, too, only pixels that have all neighbours).
    """

    statistic, columns, better = LaplacianSpread(), ("focus_laplacian",), "higher"

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """In squared units of the values; 0 for a constant image, undefined below 3 × 3 pixels."""
        if not row[0]:
            raise Undefined("no window of 3 × 3 pixels fits")
        return {"focus_laplacian": float(row[2] / row[0])}


METRIC = LaplacianVariance()
