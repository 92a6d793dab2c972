"""An image read lazily where optical flow says that its reference is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.alignment.flow import Flow
from napari_tincture.alignment.place import on_grid
from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.regrid import FloatArray, pixel_map

LATTICE = 512
"""Points along each side that are looked at for where the image ends."""


def warped(image: Raster, reference: Raster, matrix: FloatArray, flow: Flow) -> Raster:
    """Read an image on a reference's grid, by a map and displacements on top of it; lazily.

    Parameters
    ----------
    image, reference
        Any; all planes of the image are moved alike.
    matrix
        From pixels (y, x, 1) of the reference to pixels of its grid where the image shows the
        same.
    flow
        On the reference's grid.

    Returns
    -------
    Raster
        Axes, kind and channels of the image. float32 by bilinear interpolation, rounded to the
        image's type if it is RGB; labels take the nearest. Cut to a rectangle of the reference
        of which the image has all pixels.

    Raises
    ------
    InputError
        If there is none.
    """
    source = _Warped(image, reference.shape[-2:], pixel_map(image, reference) @ matrix, flow)
    made = Raster.from_array(source, image.axes, placement=on_grid(image, reference))
    whole = replace(
        image, levels=made.levels, placement=made.placement, source=None, runner=None, call=None
    )
    part = source.covered()
    if part is None:
        raise InputError(
            f"Image {image.name!r}, once aligned, covers nothing of {reference.name!r}."
        )
    return whole.crop(part)


class _Warped:
    """An array-like whose windows are computed when they are asked for."""

    def __init__(
        self, image: Raster, shape: tuple[int, ...], matrix: FloatArray, flow: Flow
    ) -> None:
        self._image, self._matrix, self._flow = image, matrix, flow
        self.shape = (*image.shape[:-2], *shape)
        self.ndim = image.ndim
        keeps = image.kind == "labels" or image.rgb
        self.dtype = image.dtype if keeps else np.dtype(np.float32)

    def __getitem__(self, index: tuple[slice, ...]) -> npt.NDArray[Any]:
        *rest, y, x = (range(*s.indices(n)) for s, n in zip(index, self.shape, strict=True))
        window = [slice(r.start, r.stop) for r in rest]
        points = self._points(y, x)
        values = np.zeros((*(len(r) for r in (*rest, y, x)),), self.dtype)
        sides = self._image.shape[-2:]
        valid = self._valid(points)
        if not valid.any():
            return values
        cut = [
            slice(max(math.floor(p[valid].min()) - 1, 0), min(math.ceil(p[valid].max()) + 2, n))
            for p, n in zip(points, sides, strict=True)
        ]
        planes = self._image.read((*window, *cut))
        origin = np.array([s.start for s in cut]).reshape(2, 1, 1)
        for number in np.ndindex(planes.shape[:-2]):
            values[number] = np.where(valid, self._sampled(planes[number], points - origin), 0)
        return values

    def covered(self) -> dict[str, slice] | None:
        """A rectangle with all pixels: the sides that lack most of theirs are cut until none do."""
        y, x = (
            np.unique(np.linspace(0, n - 1, min(n, LATTICE)).astype(int)) for n in self.shape[-2:]
        )
        grid = np.stack(np.meshgrid(y, x, indexing="ij")).astype(np.float64)
        valid = self._valid(self._moved(grid))
        (top, bottom), (left, right) = (0, len(y)), (0, len(x))
        while top < bottom and left < right:
            part = valid[top:bottom, left:right]
            if part.all():
                break
            kept = [part[0].mean(), part[-1].mean(), part[:, 0].mean(), part[:, -1].mean()]
            worst = int(np.argmin(kept))
            top, bottom = top + (worst == 0), bottom - (worst == 1)
            left, right = left + (worst == 2), right - (worst == 3)
        else:
            return None
        ends = (
            self.shape[-2] if bottom == len(y) else y[bottom - 1] + 1,
            self.shape[-1] if right == len(x) else x[right - 1] + 1,
        )
        return {"y": slice(int(y[top]), int(ends[0])), "x": slice(int(x[left]), int(ends[1]))}

    def _valid(self, points: FloatArray) -> npt.NDArray[np.bool_]:
        result = np.ones(points.shape[1:], np.bool_)
        for place, n in zip(points, self._image.shape[-2:], strict=True):
            result &= (place > -0.5) & (place < n - 0.5)
        return result

    def _points(self, y: range, x: range) -> FloatArray:
        """Where in the image its pixels are, (2, y, x)."""
        return self._moved(np.mgrid[y.start : y.stop, x.start : x.stop].astype(np.float64))

    def _moved(self, grid: FloatArray) -> FloatArray:
        """Where in the image points (2, …) of the reference are."""
        there = grid + self._flow.at(grid)
        result: FloatArray = np.tensordot(self._matrix[:2, :2], there, 1)
        return result + self._matrix[:2, 2].reshape(2, 1, 1)

    def _sampled(self, plane: npt.NDArray[Any], points: FloatArray) -> npt.NDArray[Any]:
        from scipy.ndimage import map_coordinates

        if self._image.kind == "labels":
            labels: npt.NDArray[Any] = map_coordinates(plane, points, order=0, mode="nearest")
            return labels
        values: npt.NDArray[Any] = map_coordinates(
            plane.astype(np.float64), points, order=1, mode="nearest"
        )
        return np.rint(values) if self.dtype.kind in "iu" else values
