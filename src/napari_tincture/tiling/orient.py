"""Ways to lay an image before a network: by right angles, or by any angle with interpolation.

An orientation maps a plane to another one, the canvas. What a canvas shows at a place does not
depend on the window through which it is read, so that tiles of it are those of the whole canvas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.tiling.inputs import Inputs, Plane

Shape = tuple[int, int]
Bounds = tuple[tuple[int, int], tuple[int, int]]
"""((y start, y stop), (x start, x stop)) in pixels."""
_MARGIN = 2
"""Pixels by which a rotated canvas is larger than the image on it, for the interpolation."""
_ROUNDING = 1e-6
"""Less than that is no pixel more: right angles then hit pixels, not places between them."""


class Orientation(Protocol):
    """One way to lay an image."""

    def shape(self, shape: Shape) -> Shape:
        """Height and width of the canvas for a plane of this shape."""
        ...

    def seen(self, bounds: Bounds, shape: Shape) -> Bounds:
        """The part of the canvas that a part of the plane is made of."""
        ...

    def read(self, inputs: Inputs, plane: Plane, y: slice, x: slice) -> npt.NDArray[Any]:
        """Values (c, y, x) of a part of the canvas."""
        ...

    def back(
        self, block: npt.NDArray[Any], bounds: Bounds, shape: Shape
    ) -> npt.NDArray[np.float32]:
        """From a block (c, y, x) of what is `seen` to the part of the plane at `bounds`."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether y and x are exchanged, then y turned round, then x. No pixel changes its value."""

    exchanged: bool
    flip_y: bool
    flip_x: bool

    def forth(self, array: Any) -> Any:
        """Turn an array (..., y, x) of numpy or dask."""
        return self._flipped(array.swapaxes(-2, -1) if self.exchanged else array)

    def home(self, array: Any) -> Any:
        """Undo `forth`."""
        array = self._flipped(array)
        return array.swapaxes(-2, -1) if self.exchanged else array

    def shape(self, shape: Shape) -> Shape:
        """Height and width of the canvas."""
        return shape[::-1] if self.exchanged else shape

    def seen(self, bounds: Bounds, shape: Shape) -> Bounds:
        """Where a part of the plane lies on the canvas."""
        y, x = bounds[::-1] if self.exchanged else bounds
        return self._reflected((y, x), self.shape(shape))

    def read(self, inputs: Inputs, plane: Plane, y: slice, x: slice) -> npt.NDArray[Any]:
        """Values (c, y, x) of a part of the canvas."""
        part = ((y.start, y.stop), (x.start, x.stop))
        rows, columns = self._reflected(part, self.shape(inputs.shape))
        if self.exchanged:
            rows, columns = columns, rows
        values = self.forth(inputs.finite(plane, slice(*rows), slice(*columns)))
        return np.ascontiguousarray(values)

    def back(
        self, block: npt.NDArray[Any], bounds: Bounds, shape: Shape
    ) -> npt.NDArray[np.float32]:
        """Undo the turn of a block."""
        result: npt.NDArray[np.float32] = self.home(block)
        return result

    def _flipped(self, array: Any) -> Any:
        return array[..., :: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def _reflected(self, bounds: Bounds, canvas: Shape) -> Bounds:
        (y0, y1), (x0, x1) = bounds
        rows = (canvas[0] - y1, canvas[0] - y0) if self.flip_y else (y0, y1)
        columns = (canvas[1] - x1, canvas[1] - x0) if self.flip_x else (x0, x1)
        return rows, columns


@dataclass(frozen=True, slots=True)
class Angle:
    """A rotation about the centre of the plane, bilinear; beyond its edges the plane is mirrored.

    Attributes
    ----------
    degrees
        How far.
    """

    degrees: float

    def shape(self, shape: Shape) -> Shape:
        """Height and width of the canvas: all of the rotated plane is on it."""
        cosine, sine = abs(self._cosine), abs(self._sine)
        height, width = shape
        return (
            math.ceil(height * cosine + width * sine - _ROUNDING) + 2 * _MARGIN,
            math.ceil(height * sine + width * cosine - _ROUNDING) + 2 * _MARGIN,
        )

    def seen(self, bounds: Bounds, shape: Shape) -> Bounds:
        """The box on the canvas around a part of the plane, with what is interpolated from."""
        corners = np.array([(y, x) for y in bounds[0] for x in bounds[1]], float)
        v, u = self._on_canvas(corners[:, 0], corners[:, 1], shape)
        canvas = self.shape(shape)
        found = [
            (max(math.floor(at.min()) - 1, 0), min(math.floor(at.max()) + 3, length))
            for at, length in zip((v, u), canvas, strict=True)
        ]
        return found[0], found[1]

    def read(self, inputs: Inputs, plane: Plane, y: slice, x: slice) -> npt.NDArray[Any]:
        """Values (c, y, x) of a part of the canvas, float32."""
        v, u = np.mgrid[y, x].astype(float)
        at = np.stack(self._on_plane(v, u, inputs.shape))
        low = np.floor(at.min(axis=(1, 2))).astype(int)
        high = np.floor(at.max(axis=(1, 2))).astype(int) + 2
        rows, columns = zip(low.tolist(), high.tolist(), strict=True)
        return _sampled(inputs.mirrored(plane, rows, columns), at - low[:, None, None])

    def back(
        self, block: npt.NDArray[Any], bounds: Bounds, shape: Shape
    ) -> npt.NDArray[np.float32]:
        """Rotate a block back."""
        (top, _), (left, _) = self.seen(bounds, shape)
        y, x = np.mgrid[slice(*bounds[0]), slice(*bounds[1])].astype(float)
        v, u = self._on_canvas(y, x, shape)
        return _sampled(block, np.stack([v - top, u - left]))

    @property
    def _cosine(self) -> float:
        return math.cos(math.radians(self.degrees))

    @property
    def _sine(self) -> float:
        return math.sin(math.radians(self.degrees))

    def _on_canvas(
        self, y: npt.NDArray[Any], x: npt.NDArray[Any], shape: Shape
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        (cy, cx), (cv, cu) = _centre(shape), _centre(self.shape(shape))
        y, x = y - cy, x - cx
        return cv + self._cosine * y - self._sine * x, cu + self._sine * y + self._cosine * x

    def _on_plane(
        self, v: npt.NDArray[Any], u: npt.NDArray[Any], shape: Shape
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        (cy, cx), (cv, cu) = _centre(shape), _centre(self.shape(shape))
        v, u = v - cv, u - cu
        return cy + self._cosine * v + self._sine * u, cx - self._sine * v + self._cosine * u


@dataclass(frozen=True)
class OrientedInputs(Inputs):
    """The canvas of other inputs, read as they are.

    Attributes
    ----------
    base
        The other inputs; they refuse or replace what is not finite.
    orientation
        How their planes lie.
    """

    base: Any = None
    orientation: Any = None

    @classmethod
    def of(cls, base: Inputs, orientation: Orientation) -> OrientedInputs:
        """Lay the planes of `base`."""
        return cls(
            base.lanes, base.leading, base.nonfinite, base.origin, base.reader,
            base=base, orientation=orientation,
        )  # fmt: skip

    @property
    def shape(self) -> Shape:
        """Height and width of the canvas in pixels."""
        canvas: Shape = self.orientation.shape(self.base.shape)
        return canvas

    def read(self, plane: Plane, y: slice, x: slice) -> npt.NDArray[Any]:
        """Values (c, y, x) of a part of the canvas."""
        values: npt.NDArray[Any] = self.orientation.read(self.base, plane, y, x)
        return values

    def finite(self, plane: Plane, y: slice, x: slice) -> npt.NDArray[Any]:
        """As `read`: what is not finite was dealt with."""
        return self.read(plane, y, x)


TURNS: tuple[Turn, ...] = tuple(Turn(*ways) for ways in product((False, True), repeat=3))
"""All flips and quarter turns; the first changes nothing."""


def orientations(augment: Any) -> tuple[Orientation, ...]:
    """All orientations but the image's own, of which `augment` asks for the mean.

    Parameters
    ----------
    augment
        "none", "turns" (eight in all), or the number of equal rotations that make up a circle.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if augment == "none":
        return ()
    if augment == "turns":
        return TURNS[1:]
    whole = isinstance(augment, int | np.integer) and not isinstance(augment, bool)
    if not whole or augment < 2:
        raise InputError(
            f"augment={augment!r}: expected 'none', 'turns' (the eight flips and quarter turns), "
            "or a number of rotations of at least 2, such as 7."
        )
    return tuple(Angle(360.0 * k / augment) for k in range(1, int(augment)))


def _centre(shape: Sequence[int]) -> tuple[float, float]:
    return (shape[0] - 1) / 2, (shape[1] - 1) / 2


def _sampled(values: npt.NDArray[Any], at: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Bilinear values (c, y, x) at places (2, y, x) between pixels."""
    from scipy.ndimage import map_coordinates

    result = np.empty((len(values), *at.shape[1:]), np.float32)
    for channel, image in zip(result, values, strict=True):
        map_coordinates(image.astype(np.float32), at, channel, order=1, mode="nearest")
    return result
