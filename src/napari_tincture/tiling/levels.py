"""Levels of a live result as arrays that answer at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.tiling.mosaic import Mosaic

Whole = Callable[[], npt.NDArray[Any]]


class LiveWindow:
    """A window of a level: an array of what is known when it is read.

    Integer keys of all leading axes give pixels; as long as one is left, a smaller window.

    Parameters
    ----------
    mosaic
        Holds what is known.
    level
        Number of the level.
    axes
        Axes of the array, in its order; "c" only of a colour image, last.
    channel
        The one channel that is shown; None of a colour image.
    bounds
        Start and stop of each axis but "c", None of an axis that was indexed away.
    """

    def __init__(
        self,
        mosaic: Mosaic,
        level: int,
        axes: str,
        channel: int | None,
        bounds: dict[str, tuple[int, int]] | None = None,
        fixed: dict[str, int] | None = None,
    ) -> None:
        layout = mosaic.layout
        height, width = mosaic.shapes[level]
        sizes = dict(zip(layout.leading, layout.counts, strict=True)) | {"y": height, "x": width}
        self._mosaic, self._level, self._axes, self._channel = mosaic, level, axes, channel
        self._bounds = bounds or {axis: (0, size) for axis, size in sizes.items()}
        self._fixed = fixed or {}
        lengths = {a: stop - start for a, (start, stop) in self._bounds.items()} | {"c": 4}
        self.shape = tuple(lengths[a] for a in axes)
        self.dtype: np.dtype[Any] = layout.dtype
        self.ndim = len(self.shape)
        self.size = math.prod(self.shape)
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Give pixels as far as they are known, or a smaller window of several planes."""
        keys = _complete(key, self.ndim)
        bounds, fixed, rest = dict(self._bounds), dict(self._fixed), []
        axes = ""
        for axis, item in zip(self._axes, keys, strict=True):
            if axis == "c":
                rest.append(item)
                axes += axis
                continue
            start, stop = bounds[axis]
            if isinstance(item, slice):
                places = range(start, stop)[item]
                bounds[axis], step = _span(places)
                rest.append(step)
                axes += axis
            elif axis in "yx":
                first = range(start, stop)[int(item)]
                bounds[axis] = first, first + 1
                rest.append(0)
                axes += axis
            else:
                fixed[axis] = range(start, stop)[int(item)]
                del bounds[axis]
        window = LiveWindow(self._mosaic, self._level, axes, self._channel, bounds, fixed)
        whole_planes = any(a in self._mosaic.layout.leading for a in axes)
        return window if whole_planes and _plain(rest) else window._read()[tuple(rest)]

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Give what is known of a part that was cut out of a level."""
        values = self._read()
        return values if dtype is None else values.astype(dtype, copy=False)

    def _read(self) -> npt.NDArray[Any]:
        layout = self._mosaic.layout
        free = [axis for axis in layout.leading if axis in self._bounds]
        lengths = [range(*self._bounds[axis]) for axis in free]
        y, x = (slice(*self._bounds[axis]) for axis in "yx")
        planes = np.ndindex(*(len(places) for places in lengths))
        depth = () if self._channel is not None else (layout.depth,)
        shape = (*(len(places) for places in lengths), *depth, y.stop - y.start, x.stop - x.start)
        out = np.empty(shape, self.dtype)
        for at in planes:
            place = self._fixed | {
                axis: places[i] for axis, places, i in zip(free, lengths, at, strict=True)
            }
            plane = tuple(place[axis] for axis in layout.leading)
            values = self._mosaic.read(plane, self._level, y, x)
            out[at] = values if self._channel is None else values[self._channel]
        axes = "".join(free) + ("c" if depth else "") + "yx"
        return out.transpose([axes.index(axis) for axis in self._axes])


class LiveLevel(LiveWindow):
    """A whole level. Windows of it are what is known; all of it, as an array, is computed or none.

    Parameters
    ----------
    mosaic, level, axes, channel
        As of a window.
    whole
        Computes the level; None where this process cannot.
    behind
        What `open_image` gives for a layer of this level: the image that is computed, not what is
        known of it.
    """

    def __init__(
        self,
        mosaic: Mosaic,
        level: int,
        axes: str,
        channel: int | None,
        whole: Whole | None = None,
        behind: Any = None,
    ) -> None:
        super().__init__(mosaic, level, axes, channel)
        self._whole = whole
        self.behind = behind

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Compute all of the level.

        Raises
        ------
        InputError
            If this process cannot: holes are never given out as data.
        """
        if self._whole is None:
            self._refuse()
        values = self._whole()
        return values if dtype is None else values.astype(dtype, copy=False)

    def _refuse(self) -> NoReturn:
        raise InputError(
            f"Level {self._level} of a live layer, {self.shape}, is known in parts only. Save the "
            "layer from its panel, or run the panel with its output in memory, to have all of it."
        )


def _complete(key: Any, ndim: int) -> list[Any]:
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(item is Ellipsis for item in keys):
        at = next(i for i, item in enumerate(keys) if item is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (ndim - len(keys) + 1)
    return keys + [slice(None)] * (ndim - len(keys))


def _span(places: range) -> tuple[tuple[int, int], slice]:
    """Start and stop of the places without step, and what to take of them."""
    if not places:
        return (0, 0), slice(None)
    low, high = min(places), max(places) + 1
    return (low, high), slice(None) if places.step == 1 else slice(None, None, places.step)


def _plain(rest: Sequence[Any]) -> bool:
    return all(isinstance(item, slice) and item == slice(None) for item in rest)
