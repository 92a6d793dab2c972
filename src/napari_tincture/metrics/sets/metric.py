"""What a metric of sets is: figures of the features of many images against those of others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import Undefined

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSet:
    """What is known of the features of a set of images.

    Attributes
    ----------
    mean : (d,) float64
        Of all images.
    covariance : (d, d) float64
        Of the sample, divided by n - 1.
    sample : (n, d) float32, optional
        Features of the images, or of some of them; None: not kept.
    count
        Number of images; None: unknown, as in published statistics.

    Raises
    ------
    InputError
        If the shapes do not fit, or a value is not finite.
    """

    mean: FloatArray
    covariance: FloatArray
    sample: npt.NDArray[np.float32] | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        d = self.mean.size
        if self.mean.shape != (d,) or self.covariance.shape != (d, d) or not d:
            raise InputError(
                f"Statistics of features need a mean (d,) and a covariance (d, d), got "
                f"{self.mean.shape} and {self.covariance.shape}."
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise InputError(
                "Statistics of features hold values that are not finite; compute them again."
            )

    def values(self, least: int) -> FloatArray:
        """The features that were kept, (n, d).

        Raises
        ------
        Undefined
            If there are fewer than `least`.
        """
        if self.sample is None:
            raise Undefined("the features themselves were not kept, only their statistics")
        if len(self.sample) < least:
            raise Undefined(
                f"it needs the features of {least} images, there are {len(self.sample)}"
            )
        return self.sample.astype(np.float64)


class SetMetric(ABC):
    """Figures of a set of images against a reference set.

    Attributes
    ----------
    columns
        Names of its figures, the first is its own.
    better
        Which of two figures speaks for the images.
    keeps
        Whether it reads features of single images, not only their statistics.
    """

    columns: ClassVar[tuple[str, ...]]
    better: ClassVar[Literal["higher", "lower"]]
    keeps: ClassVar[bool]

    @abstractmethod
    def figures(self, images: FeatureSet, reference: FeatureSet) -> Mapping[str, float]:
        """Compare both.

        Raises
        ------
        InputError
            If their features are of different lengths.
        Undefined
            If the sets have no such figures.
        """


def check_lengths(images: FeatureSet, reference: FeatureSet) -> None:
    """Check that features of both sets are of one length.

    Raises
    ------
    InputError
        If not.
    """
    one, other = len(images.mean), len(reference.mean)
    if one != other:
        raise InputError(
            f"The images' features have length {one}, those of the reference {other}: they come "
            "from different networks or layers. Take both with the same."
        )


def as_features(values: Any) -> npt.NDArray[np.float32]:
    """Check features (b, d).

    Raises
    ------
    InputError
        If they have other axes, or are not finite.
    """
    array = np.asarray(values, np.float32)
    if array.ndim != 2:
        raise InputError(f"Features are (images, length), got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise InputError(
            "Features hold values that are not finite; check the images and the network's weights."
        )
    return array
