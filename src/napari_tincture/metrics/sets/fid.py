"""Fréchet Inception distance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_tincture.metrics.sets.metric import FeatureSet, FloatArray, SetMetric, check_lengths


class FrechetDistance(SetMetric):
    """Fréchet distance of the normal distributions with the moments of both sets.

    |µ₁ - µ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½), of Heusel et al. (2017), GANs trained by a two
    time-scale update rule, equation 6; FID, if the features are those of `InceptionFeatures`.

    It falls with the number of images, most where that is small beside the length of the features
    (Bińkowski et al. 2018): compare only figures of equally many, thousands of length 2048.
    """

    columns, better, keeps = ("fid",), "lower", False

    def figures(self, images: FeatureSet, reference: FeatureSet) -> Mapping[str, float]:
        """0 for sets of equal moments."""
        check_lengths(images, reference)
        step = images.mean - reference.mean
        one, other = images.covariance, reference.covariance
        common = np.linalg.svd(_factor(one) @ _factor(other).T, compute_uv=False).sum()
        distance = step @ step + np.trace(one) + np.trace(other) - 2 * common
        # Rounding alone can bring it below zero.
        return {"fid": max(float(distance), 0.0)}


def _factor(covariance: FloatArray) -> FloatArray:
    """F (r, d) with FᵀF = covariance.

    The trace of (Σ₁ Σ₂)^½ is the sum of the singular values of F₁ F₂ᵀ: real and not negative by
    construction, also where a covariance is singular and its square root by iteration fails.
    Eigenvalues that are but rounding are left out, whose roots would not be small.
    """
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    kept = values > len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    factor: FloatArray = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
    return factor


METRIC = FrechetDistance()
