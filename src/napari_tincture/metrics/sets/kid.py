"""Kernel Inception distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_tincture.metrics.sets.metric import FeatureSet, FloatArray, SetMetric, check_lengths


@dataclass(frozen=True)
class KernelDistance(SetMetric):
    """Squared maximum mean discrepancy of features with the kernel (x·y / d + 1)³.

    The unbiased estimate of Bińkowski et al. (2018), Demystifying MMD GANs, section 4 (Gretton et
    al. 2012, equation 3), over random subsets. Its expectation does not depend on the number of
    images; it may be negative.

    Attributes
    ----------
    subsets
        How many are drawn.
    size
        Features in a subset of either set; all, if a set has fewer.
    seed
        Of the subsets.
    """

    subsets: int = 100
    size: int = 1000
    seed: int = 0

    columns, better, keeps = ("kid", "kid_sd"), "lower", True

    def figures(self, images: FeatureSet, reference: FeatureSet) -> Mapping[str, float]:
        """Mean and standard deviation over the subsets.

        Of sets with at most `size` features each there is one subset, and the deviation is 0.
        Undefined where a set has fewer than two features.
        """
        check_lengths(images, reference)
        x, y = images.values(2), reference.values(2)
        m, n = (min(self.size, len(v)) for v in (x, y))
        # Only a part of either set varies from subset to subset.
        rounds = 1 if (m, n) == (len(x), len(y)) else self.subsets
        random = np.random.default_rng(self.seed)
        found = [unbiased_mmd(_drawn(x, m, random), _drawn(y, n, random)) for _ in range(rounds)]
        return {"kid": float(np.mean(found)), "kid_sd": float(np.std(found))}


def _drawn(values: FloatArray, count: int, random: np.random.Generator) -> FloatArray:
    return values if count == len(values) else values[random.choice(len(values), count, False)]


def unbiased_mmd(x: FloatArray, y: FloatArray) -> float:
    """Unbiased squared maximum mean discrepancy of features (m, d) and (n, d)."""
    within = (_without_diagonal(kernel(v, v)) / (len(v) * (len(v) - 1)) for v in (x, y))
    return float(sum(within) - 2 * kernel(x, y).mean())


def kernel(x: FloatArray, y: FloatArray) -> FloatArray:
    """(x·y / d + 1)³ of all pairs, (m, n)."""
    base: FloatArray = x @ y.T
    base /= x.shape[1]
    base += 1
    base *= base * base
    return base


def _without_diagonal(values: FloatArray) -> float:
    return float(values.sum() - np.trace(values))


METRIC = KernelDistance()
