"""Precision and recall of features: how real images are, and how much of the real they cover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.sets.metric import FeatureSet, FloatArray, SetMetric, check_lengths

ROWS = 1024
"""Features whose distances to all others are in memory at once."""
ROUNDING = 1e-13
"""Of a squared distance, relative to the squares that it is the difference of."""


@dataclass(frozen=True)
class PrecisionAndRecall(SetMetric):
    """Improved precision and recall of Kynkäänniemi et al. (2019), section 2, equation 1.

    A set's manifold is the union of balls around its features, each as large as the distance to
    the k-th nearest other feature. Precision is the share of images in the manifold of the
    reference; recall is the share of the reference in that of the images.

    The paper takes features of VGG-16, 50,000 of either set; figures with other features, or of
    other numbers, cannot be compared with its.

    Attributes
    ----------
    neighbours
        k.
    """

    neighbours: int = 3

    columns, better, keeps = ("feature_recall", "feature_precision"), "higher", True

    def figures(self, images: FeatureSet, reference: FeatureSet) -> Mapping[str, float]:
        """0 … 1; undefined where a set has no more features than neighbours are asked for."""
        check_lengths(images, reference)
        x, y = (v.values(self.neighbours + 1) for v in (images, reference))
        # Squares of small numbers lose least where distances are differences of them.
        centre = y.mean(axis=0)
        x, y = x - centre, y - centre
        return {
            "feature_recall": float(_covered(y, x, self.neighbours).mean()),
            "feature_precision": float(_covered(x, y, self.neighbours).mean()),
        }


def _covered(points: FloatArray, manifold: FloatArray, k: int) -> npt.NDArray[np.bool_]:
    """Which points lie in a ball of the manifold."""
    radii = np.concatenate(
        [
            # The nearest is the feature itself.
            np.partition(_squared_distances(part, manifold), k, axis=1)[:, k]
            for part in _parts(manifold)
        ]
    )
    return np.concatenate(
        [(_squared_distances(part, manifold) <= radii).any(axis=1) for part in _parts(points)]
    )


def _parts(values: FloatArray) -> list[FloatArray]:
    return [values[start : start + ROWS] for start in range(0, len(values), ROWS)]


def _squared_distances(x: FloatArray, y: FloatArray) -> FloatArray:
    """Of all pairs, (m, n); exactly 0 where they are but rounding."""
    squares = np.sum(x * x, axis=1)[:, None] + np.sum(y * y, axis=1)
    distances: FloatArray = squares - 2 * (x @ y.T)
    distances[distances < ROUNDING * squares] = 0
    return distances


METRIC = PrecisionAndRecall()
