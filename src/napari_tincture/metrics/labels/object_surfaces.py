"""Distances between the contours of objects that match, in µm where the reference has a scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.labels.distances import Distances, contour_distances
from napari_tincture.metrics.labels.matches import match
from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.overlap import Ids
from napari_tincture.metrics.labels.planes import Planes, planes_of
from napari_tincture.metrics.metric import Undefined

Box = tuple[slice, slice]


def object_distances(planes: Planes, threshold: float = 0.5) -> list[Distances]:
    """Distances of the contours of each pair of objects that match.

    Parameters
    ----------
    planes
        Of labels of objects.
    threshold
        Least intersection over union; see `match`.

    Raises
    ------
    InputError
        If the threshold is none.
    """
    pairs = match(planes.overlap(), threshold)
    boxes = _boxes(planes.found, pairs.found_ids), _boxes(planes.expected, pairs.expected_ids)
    return [
        _of_pair(planes, int(a), int(b), _around(one, other))
        for a, b, one, other in zip(pairs.found_ids, pairs.expected_ids, *boxes, strict=True)
    ]


def _of_pair(planes: Planes, found: int, expected: int, box: Box) -> Distances:
    return contour_distances(
        planes.found[box] == found, planes.expected[box] == expected, planes.size
    )


def _boxes(labels: npt.NDArray[Any], ids: Ids) -> list[Box]:
    """Bounding boxes of objects, in the order of their ids."""
    from scipy.ndimage import find_objects

    if not len(ids):
        return []
    known, places = np.unique(labels, return_inverse=True)
    boxes = find_objects(places.reshape(labels.shape) + 1)
    return [boxes[number] for number in np.searchsorted(known, ids.astype(known.dtype))]


def _around(one: Box, other: Box) -> Box:
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return rows, columns


class ObjectSurfaces(LabelMetric):
    """Means over the pairs of objects that match at IoU 0.5.

    ``object_hausdorff``, ``object_hausdorff_95`` and ``object_surface_distance``; see `Distances`.
    """

    count = staticmethod(planes_of)
    lower = ("object_",)

    def figures(self, table: Planes) -> Figures:
        """Give the means."""
        figures = Figures()
        figures.take_parts("object", Distances._fields, lambda: _means(object_distances(table)))
        return figures


def _means(pairs: list[Distances]) -> Distances:
    if not pairs:
        raise Undefined("no objects match")
    return Distances(*np.mean(pairs, axis=0).tolist())


METRIC = ObjectSurfaces()
"""Reads planes whole."""
