"""Numbers of objects, and how many of them are stained; agreement of counts of several images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.overlap import Overlap
from napari_tincture.metrics.metric import Undefined

_Floats = npt.NDArray[np.float64]
QUANTILE = 1.96
"""Standard deviations about the mean between which 95 % of normal values lie."""


class ObjectCounts(NamedTuple):
    """How many objects each image has."""

    found: int
    expected: int

    @property
    def difference(self) -> int:
        """Those found less those expected."""
        return self.found - self.expected


class Share(NamedTuple):
    """Some of all objects."""

    some: int
    all: int

    @property
    def percent(self) -> float:
        """0 … 100; undefined where there are no objects."""
        if not self.all:
            raise Undefined("there are no objects")
        return 100 * self.some / self.all


class Limits(NamedTuple):
    """Limits of agreement of two ways to count.

    Attributes
    ----------
    difference
        Mean of found − expected.
    deviation
        Standard deviation of found − expected, with n − 1.
    low, high
        `difference` ∓ 1.96 · `deviation`: 95 % of the images lie between.
    """

    difference: float
    deviation: float
    low: float
    high: float


def object_counts(overlap: Overlap) -> ObjectCounts:
    """Count the objects of both images."""
    return ObjectCounts(len(overlap.found_objects.ids), len(overlap.expected_objects.ids))


def covered(overlap: Overlap, part: float = 0.5) -> Share:
    """Count the objects that lie by more than a part on a mask: stained nuclei of all nuclei.

    Parameters
    ----------
    overlap
        Of the objects, as found, and of a mask or labels, as expected: all but 0 covers.
    part
        0 … 1, of an object's pixels; it is covered if more are.
    """
    on = _share_on(overlap, overlap.expected > 0)
    return Share(int((on > part).sum()), len(on))


def of_classes(overlap: Overlap, part: float = 0.5) -> dict[int, Share]:
    """Count the objects that lie by more than a part on each class of a class map.

    Parameters
    ----------
    overlap
        Of the objects, as found, and of the class map, as expected.
    part
        0.5 … 1, of an object's pixels, so that an object has one class at most.

    Returns
    -------
    dict
        By class, 0 as well; all that occur in the map.

    Raises
    ------
    InputError
        If `part` is less than 0.5.
    """
    if not 0.5 <= part < 1:
        raise InputError(f"part={part}: expected 0.5 or more, and less than 1.")
    objects, on = overlap.found_objects, overlap.found > 0
    sizes = objects.pixels[np.searchsorted(objects.ids, overlap.found[on])]
    most = overlap.expected[on][overlap.pixels[on] > part * sizes]
    classes = np.unique(overlap.expected)
    numbers = np.bincount(np.searchsorted(classes, most), minlength=len(classes))
    pairs = zip(classes.tolist(), numbers.tolist(), strict=True)
    return {label: Share(number, len(objects.ids)) for label, number in pairs}


def limits_of_agreement(found: npt.ArrayLike, expected: npt.ArrayLike) -> Limits:
    """Limits of agreement of counts or percentages (Bland & Altman, Lancet 1986).

    Parameters
    ----------
    found, expected : (images,)
        One number per image.

    Raises
    ------
    Undefined
        If there are fewer than two images.
    InputError
        If lengths differ, or values are not finite.
    """
    a, b = _series(found, expected)
    if len(a) < 2:
        raise Undefined(f"limits of agreement need two images, got {len(a)}")
    apart = a - b
    mean, deviation = float(apart.mean()), float(apart.std(ddof=1))
    return Limits(mean, deviation, mean - QUANTILE * deviation, mean + QUANTILE * deviation)


def concordance(found: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Concordance correlation coefficient, -1 … 1 (Lin, Biometrics 1989), with 1/n moments.

    Parameters
    ----------
    found, expected : (images,)
        One number per image.

    Raises
    ------
    Undefined
        If there are fewer than two images, or all numbers are the same.
    InputError
        If lengths differ, or values are not finite.
    """
    a, b = _series(found, expected)
    if len(a) < 2:
        raise Undefined(f"concordance needs two images, got {len(a)}")
    if np.ptp(np.concatenate([a, b])) == 0:
        raise Undefined("all images have the same number")
    x, y = a - a.mean(), b - b.mean()
    apart = float(a.mean() - b.mean()) ** 2
    return 2 * float((x * y).mean()) / (float((x * x).mean() + (y * y).mean()) + apart)


def _share_on(overlap: Overlap, chosen: npt.NDArray[np.bool_]) -> _Floats:
    """Share of the pixels of each found object; (objects,)."""
    objects, on = overlap.found_objects, chosen & (overlap.found > 0)
    inside = np.zeros(len(objects.ids), np.int64)
    np.add.at(inside, np.searchsorted(objects.ids, overlap.found[on]), overlap.pixels[on])
    return inside / objects.pixels


def _series(found: npt.ArrayLike, expected: npt.ArrayLike) -> tuple[_Floats, _Floats]:
    a, b = (np.asarray(values, np.float64) for values in (found, expected))
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(
            f"Numbers of shapes {a.shape} and {b.shape}: expected one per image in both, in the "
            "same order."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("A number is NaN or infinite; leave out images that have none, in both.")
    return a, b
