"""Areas that a user names, in pixels."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster

SizeUnit = Literal["pixel", "um2"]


def as_pixels(image: Raster, min_size: Any, max_size: Any, unit: str) -> dict[str, int]:
    """Limits of an object's area in pixels, those that are given.

    Parameters
    ----------
    image
        Whose pixel size counts.
    min_size, max_size
        In `unit`; None for no limit.
    unit
        "pixel" or "um2".

    Raises
    ------
    InputError
        If a limit is none, or is in µm² and the image has no pixel size.
    """
    if unit not in get_args(SizeUnit):
        raise InputError(f"size_unit={unit!r}: expected 'pixel' or 'um2'.")
    given = {"min_size": min_size, "max_size": max_size}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value < math.inf:
            raise InputError(f"{name}={value!r}: expected an area of 0 or more.")
    if len(given) == 2 and min_size > max_size:
        raise InputError(f"min_size={min_size} is more than max_size={max_size}: nothing is left.")
    pixel = _pixel_area(image) if given and unit == "um2" else 1.0
    whole = {"min_size": math.ceil, "max_size": math.floor}
    # A limit of just so many pixels must hold in spite of rounding.
    slack = {"min_size": -1e-9, "max_size": 1e-9}
    return {
        name: max(whole[name](value / pixel * (1 + slack[name])), 0)
        for name, value in given.items()
    }


def _pixel_area(image: Raster) -> float:
    size = image.pixel_size
    if size is None:
        problem = f"Sizes are in µm², and {image.name!r} does not say how large its pixels are."
        raise InputError(
            f"{problem} Pass open_image(…, scale=…, units='um'), or sizes in pixels.",
            panel=f"{problem} Give the layer a scale and units, or sizes in pixels.",
        )
    return size[0] * size[1]
