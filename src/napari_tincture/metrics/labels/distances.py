"""How far the contours of two objects or classes lie apart, in physical units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.labels.simple_points import Mask
from napari_tincture.metrics.labels.topology import as_masks
from napari_tincture.metrics.metric import Undefined

_Floats = npt.NDArray[np.float64]


class Distances(NamedTuple):
    """Distances between contours, in the units of the pixel size.

    Attributes
    ----------
    hausdorff
        Greatest distance of a point of either contour to the other one (Huttenlocher et al., IEEE
        PAMI 1993).
    hausdorff_95
        The greater of the two 95th percentiles of these distances.
    surface_distance
        Their mean over the points of both contours (average symmetric surface distance).
    """

    hausdorff: float
    hausdorff_95: float
    surface_distance: float


def contour_distances(
    found: npt.ArrayLike, expected: npt.ArrayLike, size: tuple[float, float] = (1.0, 1.0)
) -> Distances:
    """Measure the distances between the contours of two masks.

    Parameters
    ----------
    found, expected : bool, (y, x)
        Contours are the pixels with something else, or the image's end, above, below or beside.
    size : (float, float)
        Height and width of a pixel; distances are from centre to centre.

    Raises
    ------
    InputError
        If shapes differ, or are none of planes.
    Undefined
        If either mask is empty.
    """
    masks = as_masks(found, expected)
    for mask, which in zip(masks, ("found", "expected"), strict=True):
        if not mask.any():
            raise Undefined(f"nothing is {which}")
    a, b = (contour(mask) for mask in masks)
    one, other = _distances(a, b, size), _distances(b, a, size)
    return Distances(
        float(max(one.max(), other.max())),
        float(max(np.percentile(one, 95), np.percentile(other, 95))),
        float(np.concatenate([one, other]).mean()),
    )


def contour(mask: Mask) -> Mask:
    """Pixels of a mask with something else, or the image's end, above, below or beside them."""
    from scipy.ndimage import binary_erosion

    edge: Mask = mask & ~binary_erosion(mask)
    return edge


def _distances(points: Mask, others: Mask, size: tuple[float, float]) -> _Floats:
    from scipy.ndimage import distance_transform_edt

    distances: _Floats = distance_transform_edt(~others, sampling=size)[points]
    return distances
