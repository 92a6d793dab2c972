"""What of a Labels layer was painted and is not yet told: blocks on the grid of an image; no Qt.

1. Boxes of the layer in which something changed, or may have, mark blocks of the image.
2. A marked block is read where the image has its pixels, by world coordinates.
3. It is given on if its values are others than those given on before.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.errors import InputError
from napari_tincture.placement import micrometres
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid, pixel_map

BLOCK = 256
"""Side of the blocks in pixels."""
Plane = tuple[int, ...]
"""Place along t and z, as far as the image has them."""
Key = tuple[Plane, int, int]
"""Plane, and row and column of a block."""
_WHOLE = 1e-3
"""Planes by which two stacks may be off each other and still count as the same."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Labels (y, x) of a block of a plane of the image, and its first pixel."""

    plane: Plane
    y: int
    x: int
    labels: NDArray[Any]


class StrokeSource:
    """A Labels layer, and what was given on of it.

    Parameters
    ----------
    labels
        The layer; of any pixels along y and x, of those of the image along t and z.
    image
        What is painted on.

    Raises
    ------
    InputError
        If the layer has other axes or other planes than the image, lies beside it, or either is
        turned out of its plane.
    """

    def __init__(self, labels: Raster, image: Raster) -> None:
        self._labels, self._leading = labels, [a for a in image.axes if a in "tz"]
        self._shape = image.shape[-2:]
        self._check_planes(image)
        self._matrix = pixel_map(labels, image)
        self._grids: dict[Plane, OnGrid] = {}
        self._check_place(image)
        self._marked: dict[Key, None] = {}
        self._known: dict[Key, int] = {}
        self._edited: dict[Key, None] = {}

    def mark(self, box: Mapping[str, tuple[int, int]]) -> None:
        """Note that something changed in a box of the layer, in its pixels by axis letter."""
        keys = self._keys(box)
        self._marked.update(keys)
        self._edited.update(keys)

    def _keys(self, box: Mapping[str, tuple[int, int]]) -> dict[Key, None]:
        rows, columns = self._on_image(box["y"], box["x"])
        planes = product(*(range(*box[axis]) for axis in self._leading))
        places = product(planes, _blocks(rows), _blocks(columns))
        return dict.fromkeys(places)

    def look_over(self, plane: Plane | None = None) -> None:
        """Mark what may differ from what was given on, in one plane or in all."""
        sizes = [self._labels.sizes[axis] for axis in self._leading]
        planes = product(*map(range, sizes)) if plane is None else [plane]
        for each in planes:
            for rows, columns in self._painted(each):
                place = dict(zip(self._leading, ((p, p + 1) for p in each), strict=True))
                keys = self._keys({**place, "y": rows, "x": columns})
                self._marked.update(keys)
        known = [key for key in self._known if plane is None or key[0] == plane]
        self._marked.update(dict.fromkeys(known))

    def look_again(self) -> None:
        """Mark all that was ever edited: it may have been undone."""
        self._marked.update(self._edited)

    def follow(self, before: StrokeSource) -> None:
        """Go on where another stands, whose layer had other data or another place."""
        self._known, self._edited = before._known, before._edited
        self.look_over()

    def take(self) -> list[Patch]:
        """Give on what is marked and has changed."""
        found = []
        for key in self._marked:
            plane, i, j = key
            rows, columns = (
                slice(n * BLOCK, min((n + 1) * BLOCK, size))
                for n, size in zip((i, j), self._shape, strict=True)
            )
            labels = self._read(plane, rows, columns)
            mark = zlib.crc32(labels.tobytes()) if labels.any() else 0
            if mark != self._known.get(key, 0):
                self._known[key] = mark
                found.append(Patch(plane, rows.start, columns.start, labels))
        self._marked = {}
        return found

    def _read(self, plane: Plane, rows: slice, columns: slice) -> NDArray[Any]:
        grid = self._grid(plane)
        if grid.shift == (0, 0) and (memory := self._labels.memory) is not None:
            values = memory[_index(plane, rows, columns)]
        else:
            values = grid((rows, columns)).values
        values = np.maximum(values.reshape(values.shape[-2:]), 0)
        # Most labels are small, and they are sent to another process.
        return np.ascontiguousarray(values.astype(np.min_scalar_type(int(values.max(initial=0)))))

    def _grid(self, plane: Plane) -> OnGrid:
        if plane not in self._grids:
            index = dict(zip(self._leading, plane, strict=True))
            one = self._labels.plane(**index) if index else self._labels
            self._grids[plane] = OnGrid(one, self._matrix, (self._shape[0], self._shape[1]))
        return self._grids[plane]

    def _painted(self, plane: Plane) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Boxes of the layer's plane that hold a label."""
        memory, (height, width) = self._labels.memory, self._labels.shape[-2:]
        for top, left in product(range(0, height, BLOCK), range(0, width, BLOCK)):
            bottom, right = min(top + BLOCK, height), min(left + BLOCK, width)
            index = _index(plane, slice(top, bottom), slice(left, right))
            values = self._labels.read(index) if memory is None else memory[index]
            if values.any():
                yield (top, bottom), (left, right)

    def _on_image(
        self, rows: tuple[int, int], columns: tuple[int, int]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Bounds on the image of all pixels whose labels a box of the layer decides."""
        ends = [(start - 0.5, stop - 0.5) for start, stop in (rows, columns)]
        corners = np.array([[y, x, 1.0] for y, x in product(*ends)])
        points = np.linalg.solve(self._matrix, corners.T)[:2]
        low, high = np.floor(points.min(axis=1)), np.ceil(points.max(axis=1)) + 1
        bounds = [
            (int(max(a, 0)), int(min(max(b, 0), size)))
            for a, b, size in zip(low, high, self._shape, strict=True)
        ]
        return bounds[0], bounds[1]

    def _check_planes(self, image: Raster) -> None:
        own, wanted = self._labels, [*self._leading, "y", "x"]
        if list(own.axes) != wanted:
            raise InputError(
                f"Layer {own.name!r} has the axes {', '.join(own.axes)}, strokes on {image.name!r} "
                f"have {', '.join(wanted)}. Press New labels."
            )
        for axis in self._leading:
            if own.sizes[axis] != image.sizes[axis]:
                raise InputError(
                    f"Layer {own.name!r} has {own.sizes[axis]} planes along {axis}, the image "
                    f"{image.name!r} {image.sizes[axis]}. Press New labels."
                )
            if (off := _planes_off(own, image, axis)) > _WHOLE:
                raise InputError(
                    f"Layer {own.name!r} is off the image {image.name!r} by {off:.3g} planes along "
                    f"{axis}. Give it the scale and translate of the image, or press New labels."
                )

    def _check_place(self, image: Raster) -> None:
        grid = self._grid((0,) * len(self._leading))
        if grid.overlap() > 0:
            return
        middle = np.array([(n - 1) / 2 for n in self._shape])
        own = np.array([*((n - 1) / 2 for n in self._labels.shape[-2:]), 1.0])
        y, x = np.linalg.solve(self._matrix, own)[:2] - middle
        raise InputError(
            f"Layer {self._labels.name!r} lies beside the image {image.name!r}: its middle is off "
            f"by y = {y:.0f}, x = {x:.0f} px. Check its scale and translate, or press New labels."
        )


def _index(plane: Plane, rows: slice, columns: slice) -> tuple[slice, ...]:
    return (*(slice(place, place + 1) for place in plane), rows, columns)


def _blocks(bounds: tuple[int, int]) -> range:
    return range(bounds[0] // BLOCK, -(-bounds[1] // BLOCK))


def _planes_off(labels: Raster, image: Raster, axis: str) -> float:
    """How far the first and last planes are apart at most, in planes of the image."""
    ends: Sequence[int] = (0, image.sizes[axis] - 1)
    places = [[_plane_place(raster, axis, end) for end in ends] for raster in (labels, image)]
    at = image.axes.index(axis)
    factor = micrometres(image.units[at]) or 1.0
    step = abs(image.placement.matrix()[at, at]) * factor or 1.0
    return float(max(abs(a - b) for a, b in zip(*places, strict=True)) / step)


def _plane_place(raster: Raster, axis: str, index: int) -> float:
    at, matrix = raster.axes.index(axis), raster.placement.matrix()
    return float(matrix[at, at] * index + matrix[at, -1]) * (micrometres(raster.units[at]) or 1.0)
