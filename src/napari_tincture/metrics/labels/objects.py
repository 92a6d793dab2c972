"""Objects: how many are found, and how well."""

from __future__ import annotations

from collections.abc import Sequence

from napari_tincture.metrics.labels.counts import object_counts
from napari_tincture.metrics.labels.matches import (
    THRESHOLDS,
    Matches,
    aggregated_jaccard,
    covering_jaccard,
    match,
)
from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.overlap import Overlap
from napari_tincture.metrics.labels.partitions import (
    Information,
    Rand,
    adapted_rand,
    variation_of_information,
)
from napari_tincture.metrics.labels.stream import overlaps_of


def instance_figures(overlap: Overlap, thresholds: Sequence[float] = (0.5, 0.75)) -> Figures:
    """Figures of objects.

    Parameters
    ----------
    overlap
        Of labels of objects, 0 is background.
    thresholds
        Least intersections over union of objects that match; see `match`.

    Returns
    -------
    Figures
        ``found``, ``expected`` and ``count_difference``; for each threshold (0.5 is ``_50``)
        ``precision_50``, ``recall_50``, ``f1_50``, ``ap_50`` and ``matched_iou_50``; ``ap``, mean
        over thresholds 0.5 … 0.95; ``pq``, ``sq`` and ``rq``, panoptic, segmentation and
        recognition quality; ``aji``, aggregated Jaccard index; ``seg``, measure of the Cell
        Tracking Challenge; ``rand_error``, ``rand_split`` and ``rand_merge``; ``voi_split`` and
        ``voi_merge`` in bits.

    Raises
    ------
    InputError
        If a threshold is none.
    """
    figures, number = Figures(), object_counts(overlap)
    figures.update(found=number.found, expected=number.expected, count_difference=number.difference)
    for threshold in thresholds:
        _add_matches(figures, match(overlap, threshold), f"{100 * threshold:g}")
    figures.take("ap", lambda: mean_average_precision(overlap))
    half = match(overlap)
    figures.take("pq", lambda: half.panoptic_quality)
    figures.take("sq", lambda: half.mean_iou)
    figures.take("rq", lambda: half.f1)
    figures.take("aji", lambda: aggregated_jaccard(overlap))
    figures.take("seg", lambda: covering_jaccard(overlap))
    figures.take_parts("rand", Rand._fields, lambda: adapted_rand(overlap))
    figures.take_parts("voi", Information._fields, lambda: variation_of_information(overlap))
    return figures


def mean_average_precision(overlap: Overlap) -> float:
    """Mean of the average precision over IoU 0.5 … 0.95 (Caicedo et al., Nat Methods 2019).

    Raises
    ------
    Undefined
        If neither image has objects.
    """
    return sum(match(overlap, t).average_precision for t in THRESHOLDS) / len(THRESHOLDS)


def _add_matches(figures: Figures, matches: Matches, suffix: str) -> None:
    figures.take(f"precision_{suffix}", lambda: matches.precision)
    figures.take(f"recall_{suffix}", lambda: matches.recall)
    figures.take(f"f1_{suffix}", lambda: matches.f1)
    figures.take(f"ap_{suffix}", lambda: matches.average_precision)
    figures.take(f"matched_iou_{suffix}", lambda: matches.mean_iou)


class Objects(LabelMetric):
    """Counts, matches at IoU 0.5 and 0.75, and qualities of labels that are objects."""

    count = staticmethod(overlaps_of)
    lower = ("rand_error", "voi_")
    neither = ("found", "expected", "count_difference")

    def figures(self, table: Overlap) -> Figures:
        """Give `instance_figures`."""
        return instance_figures(table)


METRIC = Objects()
"""At the usual thresholds."""
