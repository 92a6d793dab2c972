"""How well two class maps agree, from the numbers of their pairs of classes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.overlap import Counts, Overlap
from napari_tincture.metrics.metric import Undefined

MOST = 1000
"""Classes of a map; more are objects rather."""
_NO_PIXEL = "no pixel was compared"
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Confusion:
    """Pixels by expected and by found class.

    Attributes
    ----------
    classes : tuple of int
        Labels that rows and columns belong to, sorted.
    counts : (classes, classes) int64
        Pixels; rows are expected, columns are found classes.
    """

    classes: tuple[int, ...]
    counts: Counts

    @property
    def right(self) -> Counts:
        """Pixels of each class that are so in both; (classes,)."""
        return np.diagonal(self.counts).copy()

    @property
    def expected(self) -> Counts:
        """Pixels of each class in the reference; (classes,)."""
        totals: Counts = self.counts.sum(axis=1)
        return totals

    @property
    def found(self) -> Counts:
        """Pixels of each class in the image; (classes,)."""
        totals: Counts = self.counts.sum(axis=0)
        return totals

    @property
    def dice(self) -> _Floats:
        """2 |A ∩ B| / (|A| + |B|) of each class; NaN for one that neither image has."""
        return _shares(2 * self.right, self.expected + self.found)

    @property
    def iou(self) -> _Floats:
        """|A ∩ B| / |A ∪ B| of each class; NaN for one that neither image has."""
        return _shares(self.right, self.expected + self.found - self.right)

    @property
    def mean_dice(self) -> float:
        """Mean of `dice` over the classes that either image has."""
        return self._mean(self.dice)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that either image has."""
        return self._mean(self.iou)

    @property
    def frequency_weighted_iou(self) -> float:
        """Mean of `iou`, weighted with the reference's pixels (Long et al., CVPR 2015)."""
        some = self.expected > 0
        return float((self.expected[some] * self.iou[some]).sum() / self._total)

    @property
    def accuracy(self) -> float:
        """Share of the pixels that have their class."""
        return float(self.right.sum() / self._total)

    @property
    def kappa(self) -> float:
        """Agreement beyond chance (Cohen, Educ Psychol Meas 1960), 1 at most.

        Raises
        ------
        Undefined
            If both images are one class throughout: chance agrees wholly.
        """
        total = self._total
        if (self.right == total).any():
            raise Undefined("both images are one and the same class")
        chance = float((self.expected / total * (self.found / total)).sum())
        return (self.accuracy - chance) / (1 - chance)

    def _mean(self, figures: _Floats) -> float:
        some = self.expected + self.found > 0
        if not some.any():
            raise Undefined(_NO_PIXEL)
        return float(figures[some].mean())

    @property
    def _total(self) -> int:
        total = int(self.counts.sum())
        if not total:
            raise Undefined(_NO_PIXEL)
        return total


def confusion(
    overlap: Overlap, classes: Collection[int] = (), ignore: Collection[int] = ()
) -> Confusion:
    """Fill the table of classes.

    Parameters
    ----------
    overlap
        Of two class maps: their labels are classes, 0 as well.
    classes
        Those that the table has, besides all that are in either image.
    ignore
        Classes of the *reference* whose pixels do not count, such as those that nobody annotated.

    Raises
    ------
    InputError
        If there are more than 1000.
    """
    counted = ~np.isin(overlap.expected, _ids(ignore))
    found, expected = overlap.found[counted], overlap.expected[counted]
    known = np.unique(np.concatenate([found, expected, _ids(classes)]))
    if len(known) > MOST:
        raise InputError(
            f"Got {len(known)} classes, expected {MOST} at most. These look like objects, each "
            "with a label of its own: ask for figures of objects."
        )
    counts = np.zeros((len(known), len(known)), np.int64)
    places = np.searchsorted(known, expected), np.searchsorted(known, found)
    counts[places] = overlap.pixels[counted]
    return Confusion(tuple(known.tolist()), counts)


def _ids(values: Collection[int]) -> npt.NDArray[np.uint64]:
    return np.array(sorted(values), np.uint64)


def _shares(part: Counts, whole: Counts) -> _Floats:
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
