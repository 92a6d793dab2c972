"""Part of an image, as people state it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster


def as_region(region: Any, image: Raster) -> dict[str, tuple[int, int]]:
    """Axis → (start, stop) in pixels, clipped to the image.

    Parameters
    ----------
    region
        None; a mapping of axis to slice or (start, stop); the corners (n, 2) or (n, ndim) of a
        napari Shapes rectangle in pixels, whose last two columns are y and x; or
        ((y start, y stop), (x start, x stop)).

    Raises
    ------
    InputError
        If it cannot be read, or holds no pixel of the image.
    """
    if region is None:
        return {}
    bounds = region if isinstance(region, Mapping) else _corners(region)
    result: dict[str, tuple[int, int]] = {}
    for axis, given in bounds.items():
        if axis not in image.axes or axis == "c":
            raise InputError(
                f"The region names axis {axis!r}; image {image.name!r} has axes {image.axes!r}."
            )
        start, stop = _edges(given, image.sizes[axis])
        if start >= stop:
            raise InputError(
                f"The region {axis}={given} holds no pixel of image {image.name!r}, which has "
                f"{image.sizes[axis]} along {axis}. Choose one that overlaps it."
            )
        result[axis] = (start, stop)
    return result


def _edges(given: Any, size: int) -> tuple[int, int]:
    if isinstance(given, slice) and given.step in (None, 1):
        start, stop, _ = given.indices(size)
        return start, stop
    try:
        first, last = given
        return max(math.floor(first), 0), min(math.ceil(last), size)
    except (TypeError, ValueError, OverflowError) as error:
        raise _no_region(given) from error


def _corners(region: Any) -> dict[str, tuple[float, float]]:
    try:
        corners = np.asarray(region, dtype=float)
    except (TypeError, ValueError) as error:
        raise _no_region(region) from error
    if corners.shape == (2, 2):
        return {"y": tuple(corners[0]), "x": tuple(corners[1])}
    if corners.ndim != 2 or corners.shape[1] < 2 or len(corners) < 3:
        raise _no_region(region)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return {"y": (low[-2], high[-2]), "x": (low[-1], high[-1])}


def _no_region(given: Any) -> InputError:
    return InputError(
        f"Expected a region as {{'y': (start, stop), 'x': (start, stop)}} in pixels, or the "
        f"corners of a rectangle; got {given!r}."
    )
