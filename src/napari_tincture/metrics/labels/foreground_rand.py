"""Rand error on the pixels of expected objects, as in the ISBI 2012 challenge."""

from __future__ import annotations

from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.overlap import Overlap
from napari_tincture.metrics.labels.partitions import Rand, foreground_rand
from napari_tincture.metrics.labels.stream import overlaps_of


class ForegroundRand(LabelMetric):
    """``foreground_rand_error``, ``…_split`` and ``…_merge``; see `foreground_rand`."""

    count = staticmethod(overlaps_of)
    lower = ("foreground_rand_error",)

    def figures(self, table: Overlap) -> Figures:
        """Give the error and its parts."""
        figures = Figures()
        figures.take_parts("foreground_rand", Rand._fields, lambda: foreground_rand(table))
        return figures


METRIC = ForegroundRand()
"""Of labels as they are; see `thinned_rand`."""
