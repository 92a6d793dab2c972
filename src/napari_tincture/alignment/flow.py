"""What optical flow finds beyond an affine map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_tincture.alignment.gray import FloatPlane, Gray, grey_pair
from napari_tincture.alignment.match import Feature, featured
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster
from napari_tincture.regrid import FloatArray, pixel_map

SIDE = 1024
"""Longer side in pixels, at most, of the grid on which displacements are found."""
RADIUS = 12
"""Of the window, in pixels of that grid, within which pixels move alike."""
SMOOTH = 6.0
"""Sigma of the Gaussian filter of the displacements, in pixels of that grid."""
LARGEST = 16.0
"""Displacement, in pixels of that grid, beyond which none is believed."""
GAIN = 0.8
"""Part of the squared difference that may be left where a displacement is believed."""
FAINT = 0.05
"""Of the mean contrast of edges, what counts as none."""
READ = 2048
"""Side in pixels of what is read at once."""


@dataclass(frozen=True)
class Flow:
    """Displacements on a coarse grid.

    Attributes
    ----------
    field : float32 array
        (2, h, w): where, relative to the pixel, along y and x and in pixels of the reference, its
        content lies once the affine map is applied.
    step : float
        Pixels of the reference per pixel of the field.
    """

    field: npt.NDArray[np.float32]
    step: float

    @property
    def rms(self) -> float:
        """Root mean square length of the displacements, in pixels of the reference."""
        return math.sqrt(float((self.field.astype(np.float64) ** 2).sum(axis=0).mean()))

    def at(self, grid: FloatArray) -> FloatArray:
        """Interpolate at pixels (2, …) of the reference."""
        from scipy.ndimage import map_coordinates

        places = (grid + 0.5) / self.step - 0.5
        parts = [map_coordinates(part, places, order=1, mode="nearest") for part in self.field]
        result: FloatArray = np.stack(parts).astype(np.float64)
        return result


def flow_between(image: Raster, reference: Raster, matrix: FloatArray, cancel: CancelToken) -> Flow:
    """Find what moves on top of a map.

    Parameters
    ----------
    image, reference
        Any; of t and z the middle planes are compared.
    matrix
        From pixels (y, x, 1) of the reference to pixels of its grid where the image shows the
        same.

    Returns
    -------
    Flow
        Zero where the images are no more alike with it.
    """
    from skimage.registration import optical_flow_ilk

    one, other, _ = grey_pair(image, reference)
    height, width = reference.shape[-2:]
    step = max(1.0, max(height, width) / SIDE)
    shape = max(round(height / step), 1), max(round(width / step), 1)
    grid = np.diag([step, step, 1.0])
    grid[:2, 2] = (step - 1) / 2
    to_image = pixel_map(one.raster, other.raster) @ matrix @ grid
    still, seen = _read(other, grid, shape, step, cancel)
    moving, valid = _read(one, to_image, shape, step, cancel)
    valid &= seen
    # The same edge in both: neither moves there.
    still, moving = (np.where(valid, plane, _mean(plane, valid)) for plane in (still, moving))
    fixed, loose = _alike(still, moving, valid)
    cancel.check()
    raw = optical_flow_ilk(fixed, loose, radius=min(RADIUS, max(min(shape) // 8, 1)))
    field = _believed(np.nan_to_num(raw).astype(np.float64), fixed, loose, valid)
    if _correlation(fixed, _shifted(loose, field), valid) <= _correlation(fixed, loose, valid):
        field[:] = 0
    return Flow((field * step).astype(np.float32), step)


def _believed(
    raw: FloatArray, fixed: FloatPlane, loose: FloatPlane, valid: npt.NDArray[np.bool_]
) -> FloatArray:
    """Smooth displacements, each by what can be seen there; none where they bring nothing.

    Where there is no texture, flow may be anything.
    """
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    before, after = (
        gaussian_filter(valid * (plane - fixed) ** 2, SMOOTH)
        for plane in (loose, _shifted(loose, raw))
    )
    weight = gaussian_filter(gaussian_gradient_magnitude(fixed, 1.0) ** 2, SMOOTH)
    floor = FAINT * float(weight.mean())
    weight = weight * (valid & (after < GAIN * before) & (np.hypot(*raw) < LARGEST))
    spread = np.maximum(gaussian_filter(weight, SMOOTH) + floor, 1e-12)
    return np.stack([gaussian_filter(part * weight, SMOOTH) / spread for part in raw])


def _read(
    gray: Gray, matrix: FloatArray, shape: tuple[int, int], step: float, cancel: CancelToken
) -> tuple[FloatPlane, npt.NDArray[np.bool_]]:
    """Read on a coarse grid part by part, so that little of the fine one is in memory."""
    plane = np.zeros(shape, np.float32)
    valid = np.zeros(shape, np.bool_)
    side = max(int(READ / step), 8)
    for y in range(0, shape[0], side):
        for x in range(0, shape[1], side):
            cancel.check()
            part = slice(y, min(y + side, shape[0])), slice(x, min(x + side, shape[1]))
            there = matrix @ np.array([[1.0, 0, y], [0, 1.0, x], [0, 0, 1.0]])
            sides = part[0].stop - y, part[1].stop - x
            plane[part], valid[part] = gray.on(there, sides)
    return plane, valid


def _mean(plane: FloatPlane, valid: npt.NDArray[np.bool_]) -> np.float32:
    return np.float32(plane[valid].mean()) if valid.any() else np.float32(0)


def _alike(
    still: FloatPlane, moving: FloatPlane, valid: npt.NDArray[np.bool_]
) -> tuple[FloatPlane, FloatPlane]:
    """Both planes by the feature by which they are most alike."""
    features: tuple[Feature, ...] = ("intensity", "gradient")
    pairs = [(featured(still, name), featured(moving, name)) for name in features]
    return max(pairs, key=lambda pair: _correlation(pair[0], pair[1], valid))


def _correlation(one: FloatPlane, other: FloatPlane, valid: npt.NDArray[np.bool_]) -> float:
    if valid.sum() < 2:
        return 0.0
    a, b = (p[valid].astype(np.float64) - p[valid].mean() for p in (one, other))
    spread = math.sqrt(float((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / spread if spread > 0 else 0.0


def _shifted(plane: FloatPlane, field: FloatArray) -> FloatPlane:
    from scipy.ndimage import map_coordinates

    grid = np.mgrid[: plane.shape[0], : plane.shape[1]]
    result: FloatPlane = map_coordinates(plane, grid + field, order=1, mode="nearest")
    return result
