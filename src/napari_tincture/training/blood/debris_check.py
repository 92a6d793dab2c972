"""Does a virtual stain leave debris alone? Dark objects that are no cells, and their stain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_tincture.errors import InputError
from napari_tincture.training.blood.unstaining import FIELD_DIAMETER

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

CHROMA = 8.0
"""Least CIELAB chroma of what counts as stained. In 30 smears, white-balanced to their
background: 93 % of red cells' pixels, all of nuclei's, and 1 % of simulated grey debris are
above it in a stain's hue (medians 14.5, 68.7 and 1.3)."""
HUES = (285.0, 60.0)
"""Hue angles of stains, degrees, from purple through pink to the orange of red cells."""

STEEP = {0.5: 6.1, 0.8: 3.9}
"""Least median slope of a cell's outline, absorbance per cell diameter, by the absorbance at which
the body is cut off. The second level parts cells from debris that hangs on them. The limits were
fitted to the real field (debris 2.8 to 3.6; cells from 6.5 at 0.5, from 4.2 at 0.8) and are not
for simulated sources, whose cells overlap and whose debris is known."""


@dataclass(frozen=True, slots=True)
class Stained:
    """Shares of debris that were stained, 0 to 1.

    Attributes
    ----------
    pixels
        Of all pixels of the mask.
    objects
        Of the mask's connected objects, those stained on more than half of their pixels.
    count
        How many objects there are.
    """

    pixels: float
    objects: float
    count: int


def stained(rgb: Floats, background: Floats | None = None) -> Mask:
    """Where an image (y, x, 3), 0 to 255, has a stain's colour.

    Parameters
    ----------
    rgb
        Stained image.
    background
        Colour of its empty field (3,); otherwise the median of the brighter half of the pixels.

    Returns
    -------
    ndarray
        (y, x), True where chroma and hue are those of `CHROMA` and `HUES` after dividing by the
        background.
    """
    from skimage.color import rgb2lab

    image = np.asarray(rgb, dtype=np.float64)
    if background is None:
        grey = image.mean(axis=-1)
        background = np.median(image[grey >= np.median(grey)], axis=0)
    lab = rgb2lab(np.clip(image / np.maximum(background, 1.0), 0.0, 1.0))
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360.0
    coloured = np.hypot(lab[..., 1], lab[..., 2]) > CHROMA
    return np.asarray(coloured & ((hue >= HUES[0]) | (hue <= HUES[1])))


def stained_fraction(rgb: Floats, mask: Mask, background: Floats | None = None) -> Stained:
    """How much of the debris of `mask` (y, x) was stained in an image (y, x, 3).

    Raises
    ------
    InputError
        If sizes differ or the mask is empty.
    """
    if np.shape(rgb) != (*mask.shape, 3):
        raise InputError(
            f"The image has shape {np.shape(rgb)}, the mask {mask.shape}; expected (y, x, 3) and "
            "(y, x) of one size."
        )
    labels, count = ndi.label(mask)
    if not count:
        raise InputError("The mask of debris is empty, so no share of it can be stained.")
    inside = stained(rgb, background)
    shares = ndi.mean(inside, labels, np.arange(1, count + 1))
    return Stained(float(inside[mask].mean()), float(np.mean(shares > 0.5)), int(count))


def dark_debris(grey: Floats, diameter: float = FIELD_DIAMETER) -> Mask:
    """Dark objects of a label-free field that are no cells.

    The rule: of what absorbs more than 0.2 (natural logarithm, against the field's upper
    quartile), cells are bodies above 0.5 or 0.8, holes filled, that hold a disc of 0.5 cell
    diameters and have a steep outline (`STEEP`); they and a rim of 0.2 diameters are taken
    away. What is left counts from an area of a square of 0.15 diameters; pieces cut by the image's
    edge that are smaller than one of 0.6 cannot be judged and are left out.

    Parameters
    ----------
    grey
        (y, x), any unit that is proportional to light.
    diameter
        Of a red cell, pixels.

    Returns
    -------
    ndarray
        (y, x).
    """
    image = np.asarray(grey, dtype=np.float64)
    ratio = np.maximum(image, 1e-3 * image.max()) / np.percentile(image, 75)
    density = ndi.gaussian_filter(-np.log(ratio), 0.02 * diameter)
    cells = _cells(density, diameter)
    left = (density > 0.2) & ~_dilated(cells, 0.2 * diameter)
    side = max(2, round(0.07 * diameter))
    left = ndi.binary_opening(left, np.ones((side, side)))
    labels, count = ndi.label(left)
    areas = ndi.sum_labels(left, labels, np.arange(count + 1))
    rim = np.ones(left.shape, bool)
    rim[1:-1, 1:-1] = False
    small = np.flatnonzero(areas < (0.15 * diameter) ** 2)
    unsure = [n for n in np.unique(labels[rim]) if areas[n] < (0.6 * diameter) ** 2]
    return np.asarray(left & ~np.isin(labels, [*small, *unsure]))


def _cells(density: Floats, diameter: float) -> Mask:
    slope = ndi.gaussian_gradient_magnitude(density, 0.02 * diameter) * diameter
    # The steepest place near an outline, for it need not lie where the body was cut off.
    steepness = ndi.maximum_filter(slope, 1 + 2 * round(0.06 * diameter))
    cells = np.zeros(density.shape, bool)
    for level, least in STEEP.items():
        bodies = _compact(density > level, 0.25 * diameter)
        labels, count = ndi.label(bodies)
        outline = bodies & ~ndi.binary_erosion(bodies, iterations=2, border_value=1)
        places = np.arange(1, count + 1)
        edges = np.asarray(ndi.median(steepness, np.where(outline, labels, 0), places))
        cells |= np.isin(labels, places[edges >= least])
    return cells


def _compact(mask: Mask, radius: float) -> Mask:
    """What holds a disc of that radius, holes filled."""
    wide = int(2 * radius)
    # Mirrored, or cells that the image's edge cuts would hold no disc.
    body = np.pad(ndi.binary_fill_holes(mask), wide, mode="symmetric")
    inner = ndi.distance_transform_edt(body) > radius
    return np.asarray(_dilated(inner, radius)[wide:-wide, wide:-wide])


def _dilated(mask: Mask, distance: float) -> Mask:
    return np.asarray(ndi.distance_transform_edt(~mask) <= distance)
