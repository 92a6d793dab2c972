"""Which objects of two label images are the same, and figures of how many are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.overlap import Ids, Overlap, Touching
from napari_tincture.metrics.metric import Undefined

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Intersections over union, 0.5 … 0.95, as in the Data Science Bowl 2018."""
_Places = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Matches:
    """Objects that are the same in both images, each in one pair at most.

    Attributes
    ----------
    found, expected : int
        Number of objects in the image and in its reference.
    found_ids, expected_ids : (n,) uint64
        Labels of the pairs.
    iou : (n,) float64
        Their intersections over union.
    """

    found: int
    expected: int
    found_ids: Ids
    expected_ids: Ids
    iou: npt.NDArray[np.float64]

    @property
    def matched(self) -> int:
        """Number of pairs: the true positives."""
        return len(self.iou)

    @property
    def precision(self) -> float:
        """Share of the found objects that are expected, TP / (TP + FP)."""
        return _ratio(self.matched, self.found, "no object was found")

    @property
    def recall(self) -> float:
        """Share of the expected objects that were found, TP / (TP + FN)."""
        return _ratio(self.matched, self.expected, "no object is expected")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, TP / (TP + FP / 2 + FN / 2)."""
        return _ratio(2 * self.matched, self.found + self.expected, _NEITHER)

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN), as in the Data Science Bowl (Caicedo et al., Nat Methods 2019)."""
        return _ratio(self.matched, self.found + self.expected - self.matched, _NEITHER)

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union of the pairs."""
        return _ratio(float(self.iou.sum()), self.matched, "no objects match")

    @property
    def panoptic_quality(self) -> float:
        """Sum of IoU / (TP + FP / 2 + FN / 2): `mean_iou` · `f1`, 0 where nothing matches.

        With matches at IoU > 0.5 this is equation 1 of Kirillov et al., Panoptic segmentation
        (CVPR 2019), of one class; `mean_iou` is its segmentation quality, `f1` its recognition
        quality.
        """
        return _ratio(2 * float(self.iou.sum()), self.found + self.expected, _NEITHER)


_NEITHER = "neither image has objects"


def match(overlap: Overlap, threshold: float = 0.5) -> Matches:
    """Pair the objects of two images.

    Parameters
    ----------
    overlap
        The pixels that they share.
    threshold
        Least intersection over union of a pair, above 0 and up to 1. From 0.5 on it must also be
        *more* than 0.5, so that an object has one partner at most. Below, of all ways to pair the
        objects, one with the most pairs is taken, and of these the one with the greatest sum of
        IoU (linear assignment).

    Raises
    ------
    InputError
        If the threshold is none.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"IoU threshold {threshold}: expected more than 0, and 1 at most.")
    touching = overlap.touching
    iou = touching.iou
    if threshold >= 0.5:
        chosen = np.flatnonzero((iou > 0.5) & (iou >= threshold))
    else:
        chosen = _assigned(touching, np.flatnonzero(iou >= threshold))
    found, expected = overlap.found_objects.ids, overlap.expected_objects.ids
    return Matches(
        len(found), len(expected), found[touching.found[chosen]],
        expected[touching.expected[chosen]], iou[chosen],
    )  # fmt: skip


def aggregated_jaccard(overlap: Overlap) -> float:
    """Aggregated Jaccard index, 0 … 1, of Kumar et al. (IEEE TMI 2017), algorithm 1.

    Every expected object goes with the found one of the greatest IoU (of equals the one of the
    lowest label), which may be several objects' choice; pixels of found objects that are nobody's
    choice count as wrong.

    Raises
    ------
    Undefined
        If neither image has objects.
    """
    touching, expected = overlap.touching, overlap.expected_objects.pixels
    order = np.lexsort((touching.found, -touching.iou, touching.expected))
    first = np.unique(touching.expected[order], return_index=True)[1]
    best = order[first]
    chosen = np.zeros(len(overlap.found_objects.ids), np.bool_)
    chosen[touching.found[best]] = True
    alone = np.ones(len(expected), np.bool_)
    alone[touching.expected[best]] = False
    wrong = expected[alone].sum() + overlap.found_objects.pixels[~chosen].sum()
    common = int(touching.common[best].sum())
    return _ratio(common, int(touching.union[best].sum() + wrong), _NEITHER)


def covering_jaccard(overlap: Overlap) -> float:
    """The SEG measure of the Cell Tracking Challenge, 0 … 1 (Maška et al., Bioinformatics 2014).

    Mean over the expected objects of the IoU with the found object that covers more than half of
    their pixels, of which there is one at most; 0 for those that have none. Found objects where
    none is expected cost nothing.

    Raises
    ------
    Undefined
        If no object is expected.
    """
    touching, expected = overlap.touching, overlap.expected_objects.pixels
    covering = 2 * touching.common > expected[touching.expected]
    return _ratio(float(touching.iou[covering].sum()), len(expected), "no object is expected")


def _assigned(touching: Touching, edges: _Places) -> _Places:
    """Which of the pairs to take, each object once."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(edges):
        return edges
    a, b = touching.found[edges], touching.expected[edges]
    size = int(a.max()) + 1, int(b.max()) + 1
    graph = coo_array((np.ones(len(a)), (a, size[0] + b)), shape=(sum(size), sum(size)))
    cluster = connected_components(graph, directed=False)[1][a]
    order = np.argsort(cluster, kind="stable")
    edges = edges[order]
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    chosen = [
        edges[start:stop] if stop - start == 1 else _best(touching, edges[start:stop])
        for start, stop in pairwise([*starts.tolist(), len(edges)])
    ]
    return np.sort(np.concatenate(chosen))


def _best(touching: Touching, edges: _Places) -> _Places:
    """Of pairs that hang together."""
    from scipy.optimize import linear_sum_assignment

    rows, a = np.unique(touching.found[edges], return_inverse=True)
    columns, b = np.unique(touching.expected[edges], return_inverse=True)
    worth = np.zeros((len(rows), len(columns)))
    # One pair more outweighs whatever IoU the others could gain.
    worth[a, b] = touching.iou[edges] + min(worth.shape)
    which = np.full(worth.shape, -1, np.intp)
    which[a, b] = edges
    taken = which[linear_sum_assignment(worth, maximize=True)]
    chosen: _Places = taken[taken >= 0]
    return chosen


def _ratio(part: float, whole: int, why: str) -> float:
    if not whole:
        raise Undefined(why)
    return part / whole
