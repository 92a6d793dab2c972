"""What a job reads: planes of a raster (or of several) as the channels that a model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.grid import Tile, mirror_index
from napari_tincture.raster import Raster
from napari_tincture.tiling.reading import Reader

Plane = tuple[int, ...]
"""Place along the leading axes (t, z) that the job runs over, in the order of `Inputs.leading`."""
NonFinite = Literal["error", "background"]


@dataclass(frozen=True, slots=True)
class Lane:
    """Where one model channel comes from: a raster, fixed at some of its axes.

    `drawn` says that its values are the network's, of no image.
    """

    raster: Raster
    at: Mapping[str, int]
    drawn: bool = False


@dataclass(frozen=True)
class Inputs:
    """The model's input channels, each a lane of the same y, x and leading axes.

    Attributes
    ----------
    lanes
        One per model channel.
    leading
        Axes (of "tz") that the job runs over, plane by plane.
    nonfinite
        What to do with NaN and infinity: refuse, or take the channel's background (its least
        finite value in the whole plane, so that it is the same for every tile).
    origin
        Where the first plane lies along the leading axes of the image that was cropped to this
        one; empty for the start.
    reader
        What to do with places that cannot be read, and which these were.
    """

    lanes: tuple[Lane, ...]
    leading: str
    nonfinite: NonFinite = "error"
    origin: Plane = ()
    reader: Reader = field(default_factory=Reader, compare=False)
    _darkest: dict[Plane, npt.NDArray[Any]] = field(default_factory=dict, compare=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        sizes = self.lanes[0].raster.sizes
        return sizes["y"], sizes["x"]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Common data type of the lanes."""
        return np.result_type(*{lane.raster.dtype for lane in self.lanes})

    @property
    def image_dtype(self) -> np.dtype[Any]:
        """Common data type of the lanes that come from images."""
        return np.result_type(*{lane.raster.dtype for lane in self.lanes if not lane.drawn})

    @property
    def counts(self) -> tuple[int, ...]:
        """Length of each leading axis."""
        return tuple(self.lanes[0].raster.sizes[axis] for axis in self.leading)

    @property
    def planes(self) -> tuple[Plane, ...]:
        """All planes, the last leading axis fastest."""
        return tuple(product(*map(range, self.counts)))

    def place_of(self, plane: Plane) -> Plane:
        """Where a plane lies in the image that was cropped to this one."""
        origin = self.origin or (0,) * len(plane)
        return tuple(i + start for i, start in zip(plane, origin, strict=True))

    def read(self, plane: Plane, y: slice, x: slice) -> npt.NDArray[Any]:
        """Values (c, y, x) of a part of the image, as stored."""
        place = dict(zip(self.leading, plane, strict=True))
        if self._together is not None:
            return self._read_together(place, y, x)
        parts = [self._read_lane(lane, place, y, x) for lane in self.lanes]
        return np.stack(parts).astype(self.dtype, copy=False)

    def window(self, plane: Plane, tile: Tile) -> npt.NDArray[Any]:
        """Values (c, y, x) of a tile's window, mirrored where it leaves the image.

        Raises
        ------
        InputError
            For NaN or infinity, unless they were declared background.
        """
        return self.mirrored(plane, tile.y.window, tile.x.window)

    def mirrored(self, plane: Plane, y: tuple[int, int], x: tuple[int, int]) -> npt.NDArray[Any]:
        """Values (c, y, x) between edges along y and x, mirrored where they leave the image."""
        rows, row_index = _inside(y, self.shape[0])
        columns, column_index = _inside(x, self.shape[1])
        values = self.finite(plane, rows, columns)
        if row_index is not None:
            values = values[:, row_index]
        if column_index is not None:
            values = values[:, :, column_index]
        return values

    def finite(self, plane: Plane, y: slice, x: slice) -> npt.NDArray[Any]:
        """Values as `read` gives them; NaN and infinity refused or made background."""
        values = self.read(plane, y, x)
        if values.dtype.kind != "f":
            return values
        good = np.isfinite(values)
        if good.all():
            return values
        if self.nonfinite == "error":
            raise InputError(
                f"{np.count_nonzero(~good)} of {good.size} values between y={y.start} and "
                f"{y.stop}, x={x.start} and {x.stop} are NaN or infinite. Pass "
                "nonfinite='background' (in the panel: tick 'NaN is background') to treat them "
                "as the darkest value, or repair the image."
            )
        return np.where(good, values, self._background(plane))

    def _background(self, plane: Plane) -> npt.NDArray[Any]:
        """Least finite value (c, 1, 1) of each channel of a plane; 0 where there is none."""
        if plane not in self._darkest:
            lowest = np.full((len(self.lanes), 1, 1), np.inf, self.dtype)
            for y, x in product(*map(_blocks, self.shape)):
                part = self.read(plane, y, x)
                good = np.isfinite(part)
                own = np.min(part, axis=(1, 2), initial=np.inf, where=good, keepdims=True)
                lowest = np.minimum(lowest, own)
            self._darkest[plane] = np.where(np.isfinite(lowest), lowest, 0).astype(self.dtype)
        return self._darkest[plane]

    @cached_property
    def _together(self) -> tuple[Raster, str, list[int]] | None:
        """The one raster and axis along which the lanes lie, so that one read serves all."""
        first = self.lanes[0]
        if any(lane.raster is not first.raster for lane in self.lanes):
            return None
        varying = [a for a in first.at if len({lane.at[a] for lane in self.lanes}) > 1]
        if len(varying) != 1:
            return None
        return first.raster, varying[0], [lane.at[varying[0]] for lane in self.lanes]

    def _read_together(self, place: Mapping[str, int], y: slice, x: slice) -> npt.NDArray[Any]:
        assert self._together is not None
        raster, axis, wanted = self._together
        low, high = min(wanted), max(wanted) + 1
        fixed = {**self.lanes[0].at, **place}
        fixed.pop(axis)
        values = self.reader.read(raster, {**fixed, axis: slice(low, high), "y": y, "x": x})
        order = [w - low for w in wanted]
        return values if order == list(range(high - low)) else values[order]

    def _read_lane(
        self, lane: Lane, place: Mapping[str, int], y: slice, x: slice
    ) -> npt.NDArray[Any]:
        own = {a: i for a, i in place.items() if a in lane.raster.axes}
        return self.reader.read(lane.raster, {**lane.at, **own, "y": y, "x": x})


def _blocks(length: int, side: int = 2048) -> list[slice]:
    return [slice(start, min(start + side, length)) for start in range(0, length, side)]


def _inside(window: tuple[int, int], length: int) -> tuple[slice, npt.NDArray[np.intp] | None]:
    """The part of the image that a window needs, and how it is gathered if it leaves the image."""
    start, stop = window
    if start >= 0 and stop <= length:
        return slice(start, stop), None
    index = mirror_index(start, stop, length)
    low, high = int(index.min()), int(index.max()) + 1
    return slice(low, high), index - low
