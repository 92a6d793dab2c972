"""Masks and regions as labels of one plane of a reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster


def labels_of(mask: Any, plane: Raster, at: Mapping[str, int]) -> Raster:
    """Open a mask as labels, whatever its type: it is sampled, never interpolated."""
    if isinstance(mask, np.ndarray) and mask.ndim == 2 and mask.shape == plane.shape[-2:]:
        flat = plane.plane(c=0) if "c" in plane.axes else plane
        return Raster.from_array(
            mask.astype(np.uint8), "yx", kind="labels", placement=flat.placement
        )
    opened = mask if isinstance(mask, Raster) else open_image(mask)
    if opened.dtype.kind not in "biu":
        raise InputError(
            f"Mask {opened.name!r} is of type {opened.dtype}; give labels, integers or booleans, "
            "of which pixels other than 0 count."
        )
    labels = opened if opened.kind == "labels" else replace(opened, kind="labels", rgb=False)
    return _plane_of(labels, at)


def _plane_of(labels: Raster, at: Mapping[str, int]) -> Raster:
    """The plane of a stack that belongs to a plane of the reference."""
    place = {}
    for axis, size in labels.sizes.items():
        if axis not in "tz":
            continue
        place[axis] = 0 if size == 1 else at.get(axis, size)
        if place[axis] >= size:
            raise InputError(
                f"Labels {labels.name!r} have {size} planes along {axis}, and the reference "
                f"{'has more' if axis in at else 'has no such axis'}. Give labels of one plane, or "
                "of every plane of the reference."
            )
    return labels.plane(**place) if place else labels
