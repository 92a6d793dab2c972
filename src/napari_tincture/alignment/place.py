"""A registration as a placement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_tincture.placement import Placement
from napari_tincture.raster import Raster
from napari_tincture.regrid import FloatArray, pixel_map


def moved(image: Raster, reference: Raster, matrix: FloatArray) -> Raster:
    """Place an image so that it shows at every pixel of a reference what it showed at another.

    Parameters
    ----------
    image, reference
        As they lie; y and x of both mix with no other axis.
    matrix
        From pixels (y, x, 1) of the reference to pixels of its grid where the image shows the
        same, 3 × 3.

    Returns
    -------
    Raster
        The image but for its affine: `pixel_map` of it and the reference is
        ``pixel_map(image, reference) @ matrix``.
    """
    # With A and R the maps from pixels to the world, the new A' has A'⁻¹ R = A⁻¹ R M.
    own = _plane(image)
    wanted = pixel_map(image, reference) @ matrix
    world = own @ pixel_map(image, reference) @ np.linalg.inv(wanted) @ np.linalg.inv(own)
    whole = np.eye(image.ndim + 1)
    whole[np.ix_([-3, -2, -1], [-3, -2, -1])] = world
    affine = whole @ np.asarray(image.placement.affine)
    placement = replace(image.placement, affine=_rows(affine))
    return replace(image, placement=placement)


def _plane(raster: Raster) -> FloatArray:
    """From pixels (y, x, 1) to the world, in the raster's own units."""
    result: FloatArray = raster.placement.matrix()[np.ix_([-3, -2, -1], [-3, -2, -1])]
    return result


def on_grid(image: Raster, reference: Raster) -> Placement:
    """Place an image that was read on a reference's grid: y and x as there, the rest as it was."""
    own, other = image.placement, reference.placement
    whole = own.matrix()
    whole[np.ix_([-3, -2, -1], [-3, -2, -1])] = _plane(reference)
    units = (*own.units[:-2], *other.units[-2:])
    labels = own.axis_labels
    scale = (*own.scale[:-2], *other.scale[-2:])
    placed = Placement.build(
        labels, scale=scale, translate=(*own.translate[:-2], *other.translate[-2:]), units=units,
        rotate=_spliced(own.rotate, other.rotate), shear=_spliced(own.shear, other.shear),
        affine=_spliced(own.affine, other.affine, 1),
    )  # fmt: skip
    if np.allclose(placed.matrix(), whole, rtol=1e-12, atol=1e-12):
        return placed
    folded = whole @ np.diag([*(1 / np.array(scale)), 1.0])
    return Placement.build(labels, scale=scale, affine=folded, units=units)


def _spliced(own: npt.ArrayLike, other: npt.ArrayLike, more: int = 0) -> FloatArray:
    """Take the last two axes, and what `more` follows them, from another matrix."""
    last = list(range(-2 - more, 0))
    result = np.array(own, float)
    result[np.ix_(last, last)] = np.asarray(other)[np.ix_(last, last)]
    return result


def _rows(matrix: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())
