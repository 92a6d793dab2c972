"""Pieces of images of any size, as sets of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster

AREA = 2048
"""Side of what is read at once in pixels, about."""


def patches(image: Raster, side: int = 299) -> Iterator[npt.NDArray[Any]]:
    """Cut a colour image into squares that touch, and read them.

    Parameters
    ----------
    image
        With `rgb` set, without t and z.
    side
        Of a square in pixels. Squares that do not lie in the image as a whole are left out.

    Yields
    ------
    (b, 3, side, side)
        In the image's data type; a few squares at a time, in rows from the top.

    Raises
    ------
    InputError
        If the image is not of this kind, or smaller than a square.
    """
    _check(image, side)
    rows, columns = (n // side for n in image.shape[-2:])
    step = max(AREA // side, 1)
    for top in range(0, rows, step):
        for left in range(0, columns, step):
            y = slice(top * side, min(top + step, rows) * side)
            x = slice(left * side, min(left + step, columns) * side)
            area = image.read((slice(0, 3), y, x))
            cut = area.reshape(3, -1, side, area.shape[2] // side, side)
            yield np.ascontiguousarray(cut.transpose(1, 3, 0, 2, 4)).reshape(-1, 3, side, side)


def _check(image: Raster, side: int) -> None:
    if not image.rgb or image.axes != "cyx":
        raise InputError(
            f"Patches are cut out of one RGB plane; image {image.name!r} has axes {image.axes!r}"
            f"{'' if image.rgb else ' and is no RGB image'}. Choose planes with image.plane(…)."
        )
    if side < 1 or min(image.shape[-2:]) < side:
        raise InputError(
            f"No square of {side} pixels lies in image {image.name!r} of {image.shape[-2:]}; "
            "choose a smaller side, 1 at least."
        )
