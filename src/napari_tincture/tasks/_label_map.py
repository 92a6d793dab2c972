"""Label maps as tasks take them."""

from __future__ import annotations

from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster


def open_label_map(labels: Any) -> Raster:
    """A label map as a Raster of kind labels.

    Raises
    ------
    InputError
        If it holds no integers, or has channels.
    """
    found = open_image(labels)
    if found.dtype.kind not in "biu" or "c" in found.axes:
        raise InputError(
            f"The label map {found.name!r} is of type {found.dtype} with axes {found.axes!r}; "
            "expected integers without an axis of channels. Convert the layer to Labels, or take "
            "one channel with plane(c=…)."
        )
    return found
