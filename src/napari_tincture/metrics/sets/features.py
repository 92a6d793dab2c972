"""Features of many images, taken a few images at a time and by several processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics._priorities import priorities, smallest
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.sets.metric import FeatureSet, FloatArray, as_features

KEEP = 10_000
"""Features that are kept: 80 MB of length 2048."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Number, mean (d,) and sums of squares and products about the mean (d, d), in float64.

    Parts are merged by the pairwise formulas of Chan, Golub and LeVeque (1979).
    """

    count: int
    mean: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> Moments:
        """Moments of features (b, d), at least one."""
        wide = values.astype(np.float64)
        mean = wide.mean(axis=0)
        wide -= mean
        return cls(len(wide), mean, wide.T @ wide)

    def merge(self, other: Moments) -> Moments:
        """Moments of both parts together."""
        count = self.count + other.count
        step = other.mean - self.mean
        share = other.count / count
        spread = self.spread + other.spread + np.outer(step, step) * (self.count * share)
        return Moments(count, self.mean + step * share, spread)


@dataclass
class Features:
    """Moments of the features of a set of images, and a random sample of the features.

    The sample is the same whatever the batches, the parts and their order (reservoir sampling by
    random priorities): it depends on the seed and on the images' numbers alone.

    Attributes
    ----------
    keep
        Most features that are kept; 0: none.
    seed
        Of the sample.
    first
        Number of the first image: parts of a set that are taken apart and merged number their
        images on.
    """

    keep: int = KEEP
    seed: int = 0
    first: int = 0
    moments: Moments | None = field(default=None, init=False)
    _kept: npt.NDArray[np.float32] | None = field(default=None, init=False, repr=False)
    _indices: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(0, np.int64), init=False, repr=False
    )

    def __post_init__(self) -> None:
        if self.keep < 0 or self.first < 0:
            raise InputError(
                f"keep={self.keep} and first={self.first} must be 0 or more; give whole numbers."
            )
        self._next = self.first

    @property
    def count(self) -> int:
        """Number of images so far."""
        return 0 if self.moments is None else self.moments.count

    def add(self, values: Any) -> None:
        """Take the features of further images, (b, d) floating.

        Raises
        ------
        InputError
            If they are of another length than those before, or not finite.
        """
        batch = as_features(values)
        if not len(batch):
            return
        numbers = np.arange(self._next, self._next + len(batch))
        self._join(Moments.of(batch), batch, numbers)
        self._next += len(batch)

    def merge(self, other: Features) -> None:
        """Take what another part of the same set has.

        Raises
        ------
        InputError
            If it was begun with other settings, or numbers its images the same.
        """
        if (self.keep, self.seed) != (other.keep, other.seed):
            raise InputError(
                f"Parts of a set need one keep and one seed, got {(self.keep, self.seed)} and "
                f"{(other.keep, other.seed)}."
            )
        if np.intersect1d(self._indices, other._indices).size:
            raise InputError(
                "Both parts have images of the same number; give each part the number of its "
                "first image: Features(first=…)."
            )
        if other.moments is not None:
            self._join(other.moments, other._kept, other._indices)
        self._next = max(self._next, other._next)

    def result(self) -> FeatureSet:
        """What is known of the set.

        Raises
        ------
        Undefined
            If there are fewer than two images, which have no covariance.
        """
        if self.moments is None or self.moments.count < 2:
            raise Undefined(f"a set of {self.count} images has no covariance; give at least 2")
        covariance = self.moments.spread / (self.moments.count - 1)
        return FeatureSet(
            self.moments.mean, covariance, self._kept if self.keep else None, self.moments.count
        )

    def _join(
        self,
        moments: Moments,
        values: npt.NDArray[np.float32] | None,
        numbers: npt.NDArray[np.int64],
    ) -> None:
        if self.moments is not None and len(self.moments.mean) != len(moments.mean):
            raise InputError(
                f"Features of length {len(moments.mean)} cannot join those of length "
                f"{len(self.moments.mean)}; take all with the same network and layer."
            )
        self.moments = moments if self.moments is None else self.moments.merge(moments)
        if not self.keep or values is None:
            return
        held = values if self._kept is None else np.concatenate([self._kept, values])
        indices = np.concatenate([self._indices, numbers])
        chosen = smallest(priorities(indices, self.seed), self.keep)
        self._kept, self._indices = held[chosen], indices[chosen]
