"""How sure a kernel distance of a few images is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.sets.kid import kernel
from napari_tincture.metrics.sets.metric import FloatArray, as_features

ROUNDS = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap interval.

    Attributes
    ----------
    value
        Of all features.
    low, high
        Between which 95 % of the resampled sets lie.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def kid_interval(
    images: Any,
    reference: Any,
    *,
    groups: Any = None,
    reference_groups: Any = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Interval:
    """Unbiased KID with a percentile bootstrap interval (Efron 1979).

    Both sets are drawn anew with replacement, image by image. Pairs of one feature with itself
    are left out of the sums, so that drawing an image twice does not make a set look less varied
    than it is.

    Parameters
    ----------
    images, reference : (n, d) floating
        Features.
    groups, reference_groups : (n,) of anything, optional
        The image that each feature is of, where an image gives several: they are drawn together.
        None: each is an image.
    rounds
        How many sets are drawn.
    seed
        Of the draws.

    Raises
    ------
    InputError
        If lengths differ, or groups do not fit.
    Undefined
        If a set has features of fewer than two images.
    """
    x, y = (as_features(v).astype(np.float64) for v in (images, reference))
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"The images' features have length {x.shape[1]}, those of the reference {y.shape[1]}: "
            "take both with the same network."
        )
    places = [_numbered(g, len(v)) for g, v in ((groups, x), (reference_groups, y))]
    within = [kernel(v, v) for v in (x, y)]
    for table in within:
        np.fill_diagonal(table, 0)
    across = kernel(x, y)
    random = np.random.default_rng(seed)
    ones = [np.ones(len(v)) for v in (x, y)]
    drawn = [
        _distance(within, across, [_weights(place, random) for place in places])
        for _ in range(rounds)
    ]
    edge = (1 - LEVEL) / 2
    # Of two images one is drawn twice at times: that set has no distance.
    low, high = np.nanquantile(drawn, (edge, 1 - edge))
    return Interval(_distance(within, across, ones), float(low), float(high))


def _distance(within: list[FloatArray], across: FloatArray, weights: list[FloatArray]) -> float:
    own = 0.0
    for table, w in zip(within, weights, strict=True):
        pairs = w.sum() ** 2 - (w**2).sum()
        own += (w @ table @ w) / pairs if pairs else np.nan
    x, y = weights
    return float(own - 2 * (x @ across @ y) / (x.sum() * y.sum()))


def _weights(places: npt.NDArray[np.intp], random: np.random.Generator) -> FloatArray:
    count = int(places.max()) + 1
    drawn = np.bincount(random.integers(count, size=count), minlength=count)
    found: FloatArray = drawn[places].astype(np.float64)
    return found


def _numbered(groups: Any, count: int) -> npt.NDArray[np.intp]:
    if groups is None:
        found = np.arange(count)
    else:
        given = np.asarray(groups)
        if given.shape != (count,):
            raise InputError(f"Got groups of shape {given.shape} for {count} features.")
        found = np.unique(given, return_inverse=True)[1]
    if len(np.unique(found)) < 2:
        raise Undefined("a distance needs features of two images or more in either set")
    return found.astype(np.intp)
