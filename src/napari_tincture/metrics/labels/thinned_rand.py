"""Rand error on the pixels of expected objects, once found membranes are thinned away."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.partitions import Rand, foreground_rand
from napari_tincture.metrics.labels.planes import Planes, planes_of


def thinned(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Grow all objects until no background is left between them.

    Border thinning of the found segmentation (Arganda-Carreras et al., Front Neuroanat 2015), so
    that the width of its membranes does not tell. Here a pixel of background goes to the nearest
    object (Euclidean, from centre to centre) and nothing stays: borders have no width. The
    expected labels stay as they are, and their membranes do not count.

    Parameters
    ----------
    labels : integers, (y, x)
        0 is background.

    Returns
    -------
    ndarray
        Of the same type; the same if there are no objects.
    """
    from scipy.ndimage import distance_transform_edt

    empty = labels == 0
    if empty.all() or not empty.any():
        return labels
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    grown: npt.NDArray[Any] = labels[tuple(nearest)]
    return grown


def thinned_rand(planes: Planes) -> Rand:
    """As `foreground_rand`, of `thinned` found labels.

    Raises
    ------
    Undefined
        If no object is expected.
    """
    return foreground_rand(planes.overlap(np.where(planes.inside, thinned(planes.found), 0)))


class ThinnedRand(LabelMetric):
    """``thinned_rand_error``, ``…_split`` and ``…_merge``; see `thinned` and `foreground_rand`."""

    count = staticmethod(planes_of)
    lower = ("thinned_rand_error",)

    def figures(self, table: Planes) -> Figures:
        """Give the error and its parts."""
        figures = Figures()
        figures.take_parts("thinned_rand", Rand._fields, lambda: thinned_rand(table))
        return figures


METRIC = ThinnedRand()
"""Reads planes whole."""
