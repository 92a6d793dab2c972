"""Errors of topology: what differs after the best deformation of the expected objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.planes import Planes, planes_of
from napari_tincture.metrics.labels.simple_points import Mask
from napari_tincture.metrics.labels.topology import Warping, warping


def parted(labels: npt.NDArray[Any]) -> Mask:
    """Pixels of objects, with a line of background, one pixel wide, between those that touch.

    Parameters
    ----------
    labels : integers, (y, x)
        0 is background.

    Returns
    -------
    bool, (y, x)
        False also at the lower or right one of two pixels of different objects.
    """
    cells: Mask = labels != 0
    for axis in (0, 1):
        values, kept = (np.moveaxis(side, axis, 0) for side in (labels, cells))
        kept[1:] &= (values[1:] == values[:-1]) | (values[:-1] == 0)
    return cells


class TopologyErrors(LabelMetric):
    """``warping_error``, ``warping_split`` and ``warping_merge``, shares of all pixels.

    See `warping`. Objects that touch are parted by a line first, in both images.
    """

    count = staticmethod(planes_of)
    lower = ("warping_",)

    def figures(self, table: Planes) -> Figures:
        """Give the error and its parts."""
        figures, cells = Figures(), [parted(side) for side in (table.found, table.expected)]
        pixels = int(table.inside.sum())
        figures.take_parts(
            "warping", Warping._fields, lambda: warping(cells[0], cells[1], pixels=pixels)
        )
        return figures


METRIC = TopologyErrors()
"""Reads planes whole."""
