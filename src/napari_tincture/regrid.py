"""Reading one image on the grid of another: the same place in the world, pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.placement import micrometres
from napari_tincture.raster import Raster

Place = tuple[slice, slice]
FloatArray = npt.NDArray[np.float64]
WHOLE = 1e-3
"""Pixels by which a grid may be off another and still count as the same: less than shows."""


class Window(NamedTuple):
    """Part of a plane: values (c, y, x), and which pixels (y, x) have any; None: all."""

    values: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_] | None = None


def pixel_map(image: Raster, grid: Raster) -> FloatArray:
    """The map from pixels (y, x, 1) of `grid` to those of `image`, 3 × 3.

    Raises
    ------
    InputError
        If either mixes y or x with other axes, or cannot be turned back.
    """
    to_world, other = (_plane_matrix(raster) for raster in (grid, image))
    try:
        result: FloatArray = np.linalg.solve(other, to_world).astype(np.float64)
    except np.linalg.LinAlgError as error:
        raise InputError(f"Image {image.name!r} lies on a line; check its transform.") from error
    return result


def pixel_size(image: Raster) -> tuple[float, float]:
    """Height and width of a pixel, in µm where the units are lengths; else in the world's units.

    Raises
    ------
    InputError
        If pixels are no rectangles, or y or x is mixed with other axes.
    """
    matrix = _plane_matrix(image)[:2, :2]
    sizes = np.linalg.norm(matrix, axis=0)
    if abs(float(matrix[:, 0] @ matrix[:, 1])) > 1e-6 * sizes.prod():
        raise InputError(
            f"The transform of image {image.name!r} shears its pixels, so that distances along y "
            "and x do not add up. Resample it to a grid of rectangles."
        )
    return float(sizes[0]), float(sizes[1])


def _plane_matrix(raster: Raster) -> FloatArray:
    """From pixels (y, x, 1) to the world, in µm where the units are lengths."""
    matrix, n = raster.placement.matrix(), raster.ndim
    mixed = np.delete(matrix[-3:-1, :-1], [n - 2, n - 1], axis=1)
    if np.abs(mixed).max(initial=0) > 1e-9:
        raise InputError(
            f"The transform of image {raster.name!r} turns y or x into another axis. Compare its "
            "planes one by one: image.plane(z=…)."
        )
    result: FloatArray = matrix[np.ix_([-3, -2, -1], [-3, -2, -1])].copy()
    for axis, unit in enumerate(raster.units[-2:]):
        result[axis] *= micrometres(unit) or 1.0
    return result


@dataclass(frozen=True)
class OnGrid:
    """A plane of an image, read on another grid.

    Parameters
    ----------
    image
        (y, x) or (c, y, x).
    matrix
        From pixels (y, x, 1) of the grid to those of the image's level 0, 3 × 3.
    shape
        Of the grid.
    """

    image: Raster
    matrix: FloatArray
    shape: tuple[int, int]

    @property
    def shift(self) -> tuple[int, int] | None:
        """Whole pixels between the grids, if that is all; None if values are interpolated."""
        corners = np.array([[y, x, 1.0] for y in (0, self.shape[0]) for x in (0, self.shape[1])])
        moved = (corners @ self.matrix.T - corners)[:, :2]
        rounded = np.rint(moved[0])
        if np.abs(moved - rounded).max() > WHOLE:
            return None
        return int(rounded[0]), int(rounded[1])

    @property
    def how(self) -> str:
        """What was done to the image's values, in words."""
        if self.shift == (0, 0):
            return "same grid"
        if self.shift is not None:
            return f"shifted by {self.shift[0]}, {self.shift[1]} px"
        if self.image.kind == "labels":
            return "nearest neighbour"
        level, _, sigma = self._level()
        words = ["bilinear interpolation"]
        if level:
            words.append(f"of pyramid level {level}")
        if max(sigma) > 0:
            words.append(f"after a Gaussian filter of {max(sigma):.2g} px")
        return " ".join(words)

    def overlap(self) -> float:
        """Part of the grid, 0 … 1, that the image covers, as samples tell."""
        y, x = (np.linspace(0, n - 1, min(n, 64)) for n in self.shape)
        points = np.stack([*np.meshgrid(y, x, indexing="ij"), np.ones((len(y), len(x)))])
        found = np.tensordot(self.matrix, points, 1)[:2]
        return float(_inside(found, self.image.shape[-2:]).mean())

    def __call__(self, place: Place) -> Window:
        """Read a place of the grid; (c, y, x), 0 where the image has no pixel."""
        if self.shift is not None:
            return self._cut(place, self.shift)
        return self._sampled(place)

    def _cut(self, place: Place, shift: tuple[int, int]) -> Window:
        wanted = [slice(s.start + d, s.stop + d) for s, d in zip(place, shift, strict=True)]
        there = [
            slice(min(max(s.start, 0), n), max(min(s.stop, n), 0))
            for s, n in zip(wanted, self.image.shape[-2:], strict=True)
        ]
        if there == wanted:
            return Window(self._read(0, there))
        sides = [s.stop - s.start for s in wanted]
        valid = np.zeros(sides, np.bool_)
        values = np.zeros((self._channels, *sides), self.image.dtype)
        if all(s.stop > s.start for s in there):
            into = tuple(
                slice(t.start - w.start, t.stop - w.start)
                for t, w in zip(there, wanted, strict=True)
            )
            values[:, into[0], into[1]] = self._read(0, there)
            valid[into] = True
        return Window(values, valid)

    def _sampled(self, place: Place) -> Window:
        from scipy.ndimage import gaussian_filter, map_coordinates

        labels = self.image.kind == "labels"
        level, matrix, sigma = self._level()
        sides = [s.stop - s.start for s in place]
        grid = np.mgrid[place[0], place[1]].reshape(2, -1)
        points = (matrix[:2, :2] @ grid + matrix[:2, 2:]).reshape(2, *sides)
        shape = self.image.levels[level].shape[-2:]
        valid = _inside(points, shape)
        dtype = self.image.dtype if labels else np.dtype(np.float32)
        values = np.zeros((self._channels, *sides), dtype)
        if not valid.any():
            return Window(values, valid)
        reach = [math.ceil(4 * s) + 1 for s in sigma]
        cut = [
            slice(max(math.floor(p[valid].min()) - r, 0), min(math.ceil(p[valid].max()) + r + 1, n))
            for p, r, n in zip(points, reach, shape, strict=True)
        ]
        source = self._read(level, cut)
        origin = np.array([s.start for s in cut]).reshape(2, 1, 1)
        if labels:
            # By index, for interpolation counts in floating point, which large labels do not fit.
            ends = np.array(source.shape[1:]).reshape(2, 1, 1) - 1
            y, x = np.clip(np.floor(points - origin + 0.5), 0, ends).astype(np.intp)
            values[:] = source[:, y, x]
        for channel, plane in enumerate(source if not labels else ()):
            smooth = plane.astype(np.float64)
            if max(sigma) > 0:
                smooth = gaussian_filter(smooth, sigma, mode="nearest")
            values[channel] = map_coordinates(smooth, points - origin, order=1, mode="nearest")
        values[:, ~valid] = 0
        return Window(values, valid)

    def _level(self) -> tuple[int, FloatArray, tuple[float, float]]:
        """The level to read, the map to its pixels, and what smoothing a coarser grid needs."""
        steps = np.linalg.norm(self.matrix[:2, :2], axis=1)
        factors = [_factors(self.image.shape, level.shape) for level in self.image.levels]
        level = max(i for i, f in enumerate(factors) if i == 0 or (f <= steps * 1.01).all())
        factor = factors[level]
        to_level = np.diag([*(1 / factor), 1.0])
        to_level[:2, 2] = (1 / factor - 1) / 2
        sigma = np.maximum((steps / factor - 1) / 2, 0)
        sigma[sigma < 0.05] = 0
        return level, to_level @ self.matrix, (float(sigma[0]), float(sigma[1]))

    @property
    def _channels(self) -> int:
        return self.image.sizes.get("c", 1)

    def _read(self, level: int, cut: Sequence[slice]) -> npt.NDArray[Any]:
        rest = tuple(slice(0, n) for n in self.image.shape[:-2])
        values = self.image.read((*rest, *cut), level)
        return values.reshape(self._channels, *values.shape[-2:])


def _factors(shape: Sequence[int], lower: Sequence[int]) -> FloatArray:
    """Pixels of level 0 per pixel of another, along y and x: whole ones where they may be."""
    found = []
    for n, m in zip(shape[-2:], lower[-2:], strict=True):
        whole = round(n / m)
        found.append(whole if m in (n // whole, -(-n // whole)) else n / m)
    return np.array(found, float)


def _inside(points: FloatArray, shape: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Which points (2, …) lie within the outermost pixel centres, up to rounding."""
    result: npt.NDArray[np.bool_] = np.ones(points.shape[1:], np.bool_)
    for values, n in zip(points, shape, strict=True):
        result &= (values >= -WHOLE) & (values <= n - 1 + WHOLE)
    return result
