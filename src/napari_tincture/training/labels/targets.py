"""What a network learns to draw so that touching objects can be told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_tincture.deriving.touching import between_objects


def instance_targets(labels: NDArray[np.int32], *, border: float) -> NDArray[np.float32]:
    """Nucleus, border and centre maps of a label image.

    Parameters
    ----------
    labels
        (y, x) objects, 0 is background.
    border
        Width in pixels of the rim along which two objects (nearly) touch.

    Returns
    -------
    ndarray
        (3, y, x) float32 in [0, 1]: inside any object; within `border` pixels of two objects;
        distance to the object's own edge, divided by the object's largest.
    """
    inside = (labels > 0).astype(np.float32)
    return np.stack([inside, between_objects(labels, border), _depth(labels)])


def _depth(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    depth = np.zeros(labels.shape, np.float32)
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        # A rim of background, so that an object cut by the image's edge is cut here as well.
        own = np.pad(labels[box] == index, 1)
        distance = ndimage.distance_transform_edt(own)[1:-1, 1:-1]
        depth[box] = np.where(labels[box] == index, distance / distance.max(), depth[box])
    return depth
