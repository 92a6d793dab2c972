"""One grey plane of each image, as registration sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster
from napari_tincture.regrid import FloatArray, OnGrid, pixel_map

FloatPlane = npt.NDArray[np.float32]
LUMINANCE = (0.2125, 0.7154, 0.0721)
"""Of red, green and blue, ITU-R BT.709."""
SMALL = 512
"""Longer side, in pixels, of the plane that gives the first look."""
WINDOW = 4096
"""Longest side, in pixels, of what is averaged for that where there is no pyramid."""
STRIP = 1024
"""Rows and columns read at once."""


@dataclass(frozen=True)
class Gray:
    """A plane of an image, and how its channels become one.

    Attributes
    ----------
    raster
        (y, x) or (c, y, x).
    weights
        Of its channels.
    """

    raster: Raster
    weights: tuple[float, ...]

    def on(self, matrix: FloatArray, shape: tuple[int, int]) -> tuple[FloatPlane, Any]:
        """Read on a grid that `matrix` takes to the raster's pixels; values, and which are any."""
        whole = slice(0, shape[0]), slice(0, shape[1])
        values, valid = OnGrid(self.raster, matrix, shape)(whole)
        plane = self._mixed(values)
        finite = np.isfinite(plane)
        valid = finite if valid is None else valid & finite
        if not valid.all():
            fill = plane[valid].mean() if valid.any() else 0.0
            plane = np.where(valid, plane, np.float32(fill))
        return plane, valid

    def inside(self, matrix: FloatArray, shape: tuple[int, int]) -> FloatPlane | None:
        """Read on a grid; None if a pixel of it has no finite value."""
        plane, valid = self.on(matrix, shape)
        return plane if valid.all() else None

    def cut(self, rows: slice, columns: slice) -> FloatPlane:
        """Read a part of level 0."""
        rest = tuple(slice(0, n) for n in self.raster.shape[:-2])
        values = self.raster.read((*rest, rows, columns))
        return self._mixed(values.reshape(-1, *values.shape[-2:]))

    def _mixed(self, values: npt.NDArray[Any]) -> FloatPlane:
        if self.raster.kind == "labels":
            values = values != 0
        if len(self.weights) == 1:
            only: FloatPlane = values[0].astype(np.float32)
            return only
        weights = np.array(self.weights, np.float32)
        mixed: FloatPlane = np.einsum("c,cyx->yx", weights, values.astype(np.float32))
        return mixed


def grey_pair(image: Raster, reference: Raster) -> tuple[Gray, Gray, str]:
    """Reduce two images to planes that show the same, as far as their channels tell.

    Returns
    -------
    tuple
        The image's, the reference's, and in words what was taken.
    """
    words = []
    planes = []
    for raster, other in ((image, reference), (reference, image)):
        plane, told = _middle(raster)
        weights, named = _weights(plane, other)
        planes.append(Gray(plane, weights))
        words.append(", ".join([*told, named]))
    return planes[0], planes[1], " against ".join(dict.fromkeys(words))


def _middle(raster: Raster) -> tuple[Raster, list[str]]:
    """The middle plane along t and z, and which that is."""
    index = {axis: raster.sizes[axis] // 2 for axis in raster.axes if axis in "tz"}
    told = [f"{a}={i}" for a, i in index.items() if raster.sizes[a] > 1]
    return (raster.plane(**index) if index else raster), told


def _weights(raster: Raster, other: Raster) -> tuple[tuple[float, ...], str]:
    count = raster.sizes.get("c", 1)
    if raster.kind == "labels":
        return (1.0,) * count, "foreground"
    if raster.rgb:
        return (*LUMINANCE, *([0.0] * (count - 3))), "luminance"
    if count == 1:
        return (1.0,), "intensity"
    shared = [name for name in raster.channels if name in other.channels]
    if not shared:
        return (1 / count,) * count, "mean of all channels"
    weights = tuple(float(name in shared) / len(shared) for name in raster.channels)
    return weights, f"mean of {', '.join(shared)}" if len(shared) > 1 else shared[0]


def lowered(gray: Gray, centre: Sequence[float], cancel: CancelToken, limit: int = WINDOW) -> Gray:
    """Average a plane down to about `SMALL` pixels, in memory.

    Reads the pyramid level that suits; of one that is still larger than `limit`, the part around
    `centre`, pixels (y, x) of level 0.
    """
    raster = gray.raster
    sides = [max(level.shape[-2:]) for level in raster.levels]
    number = max(i for i, side in enumerate(sides) if i == 0 or side >= 3 * SMALL // 4)
    level = raster.levels[number]
    factors = [n / m for n, m in zip(raster.shape, level.shape, strict=True)]
    placed = replace(
        raster, levels=(level,), placement=raster.placement.level(factors), source=None,
        runner=None, call=None,
    )  # fmt: skip
    around = [(c + 0.5) / f for c, f in zip(centre, factors[-2:], strict=True)]
    part = placed.crop(_window(placed.shape[-2:], around, limit))
    step = math.ceil(max(part.shape[-2:]) / SMALL)
    small = _averaged(Gray(part, gray.weights), step, cancel)
    place = part.placement.level([*([1.0] * (part.ndim - 2)), step, step])
    if part.ndim == 3:
        place = place.drop(0)
    return Gray(Raster.from_array(small, "yx", placement=place, name=raster.name), (1.0,))


def _window(shape: Sequence[int], centre: Sequence[float], limit: int) -> dict[str, slice]:
    result = {}
    for axis, n, c in zip("yx", shape, centre, strict=True):
        side = min(n, limit)
        start = min(max(round(c - side / 2), 0), n - side)
        result[axis] = slice(start, start + side)
    return result


def _averaged(gray: Gray, step: int, cancel: CancelToken) -> FloatPlane:
    """Means of step × step pixels; what is left at the far sides is left out."""
    height, width = (n // step for n in gray.raster.shape[-2:])
    if not height or not width:
        raise InputError(
            f"Image {gray.raster.name!r} of {gray.raster.shape[-2:]} pixels is too thin to be "
            "registered; give one with at least 64 pixels along y and x."
        )
    result = np.empty((height, width), np.float32)
    rows = max(STRIP // step, 1)
    for y in range(0, height, rows):
        for x in range(0, width, rows):
            cancel.check()
            h, w = min(rows, height - y), min(rows, width - x)
            tall = slice(y * step, (y + h) * step), slice(x * step, (x + w) * step)
            blocks = gray.cut(*tall).reshape(h, step, w, step)
            result[y : y + h, x : x + w] = blocks.mean(axis=(1, 3))
    return result


def steps_between(grid: Raster, other: Raster) -> FloatArray:
    """Pixels of `other` per pixel of `grid`, along y and x of the grid."""
    lengths: FloatArray = np.linalg.norm(pixel_map(other, grid)[:2, :2], axis=0)
    return lengths
