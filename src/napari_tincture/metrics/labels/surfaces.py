"""Distances between the contours of classes, in µm where the reference has a scale."""

from __future__ import annotations

from functools import partial

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.classes import Names, as_names
from napari_tincture.metrics.labels.confusion import MOST
from napari_tincture.metrics.labels.distances import Distances, contour_distances
from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.planes import Planes, planes_of


def surface_figures(planes: Planes, names: Names | None = None) -> Figures:
    """Figures of the contours of classes, but for that of 0.

    Parameters
    ----------
    planes
        Of two class maps.
    names
        As of `class_figures`.

    Returns
    -------
    Figures
        For each class ``<name>_hausdorff``, ``<name>_hausdorff_95`` and
        ``<name>_surface_distance``, in the units of `planes.size`; see `Distances`.

    Raises
    ------
    InputError
        If there are more than 1000 classes.
    """
    named, figures = as_names(names), Figures()
    some = {*np.unique(planes.found).tolist(), *np.unique(planes.expected).tolist(), *named} - {0}
    if len(some) > MOST:
        raise InputError(
            f"Got {len(some)} classes, expected {MOST} at most. These look like objects, each with "
            "a label of its own: ask for object_surfaces."
        )
    for label in sorted(some):
        measured = partial(
            contour_distances, planes.found == label, planes.expected == label, planes.size
        )
        figures.take_parts(str(named.get(label, label)), Distances._fields, measured)
    return figures


class Surfaces(LabelMetric):
    """Hausdorff, 95 % Hausdorff and mean distances of the contours of classes."""

    count = staticmethod(planes_of)
    lower = ("",)

    def figures(self, table: Planes) -> Figures:
        """Give `surface_figures`."""
        return surface_figures(table)


METRIC = Surfaces()
"""Reads planes whole."""
