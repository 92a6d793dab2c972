"""Where objects touch, and label maps whose classes tell so."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

GROUND, OBJECT, BORDER = 0, 1, 2
"""Values of `object_classes`."""
TOUCHING = 1.5
"""How far in pixels a border reaches into either of two objects that touch."""


def between_objects(labels: NDArray[np.int32], border: float) -> NDArray[np.float32]:
    """Where (y, x) two objects lie within `border` pixels: 1, elsewhere 0."""
    reach = int(np.ceil(border))
    near = np.zeros(labels.shape, np.uint8)
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        wide = tuple(
            slice(max(s.start - reach, 0), min(s.stop + reach, n))
            for s, n in zip(box, labels.shape, strict=True)
        )
        outside = ndimage.distance_transform_edt(labels[wide] != index)
        near[wide] += (outside <= border).astype(np.uint8)
    return (near >= 2).astype(np.float32)


def object_classes(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Classes (y, x) of objects (y, x): 0 ground, 1 object, 2 border where objects touch."""
    classes = np.where(labels > 0, OBJECT, GROUND).astype(np.uint8)
    classes[between_objects(labels.astype(np.int32), TOUCHING) > 0] = BORDER
    return classes
