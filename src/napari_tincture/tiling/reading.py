"""Reading an image some of which cannot be read: try again, name the place, or leave it out.

1. A window is read at once. If that fails, it is put together from the cells in which the source
   is stored, each of which is read whole and tried several times.
2. A cell that cannot be read ends the job, or gets one value: the darkest of its neighbours. What
   a pixel becomes depends on the source alone, not on the tile that asks for it.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import in_this_thread, read, stored_edges
from napari_tincture.errors import InputError, TinctureWarning, is_read_error
from napari_tincture.raster import Raster
from napari_tincture.tiling.listener import Listener

OnReadError = Literal["stop", "background"]
PAUSES = (0.1, 0.5, 2.0)
"""Seconds before each new attempt."""

At = Mapping[str, int | slice]
"""Place along each axis of a raster: slices along y and x, and at most one more."""
Edges = tuple[int, int]
"""Start and stop."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One stored piece of one plane.

    Attributes
    ----------
    raster
        Of which image.
    place
        Index along each axis but y and x.
    y, x
        Start and stop in pixels.
    """

    raster: Raster
    place: tuple[tuple[str, int], ...]
    y: Edges
    x: Edges

    @property
    def key(self) -> tuple[Any, ...]:
        """The same for the same cell, whatever window asks for it; sorts by place."""
        place = tuple(index for _, index in self.place)
        # dask's name tells arrays apart, but is another one in the next run: it sorts last.
        return self.raster.name, place, self.y, self.x, self.raster.data.name

    def meets(self, raster: Raster, at: At) -> bool:
        """Whether a window holds a pixel of it."""
        if raster.data.name != self.raster.data.name:
            return False
        where = {**{a: (i, i + 1) for a, i in self.place}, "y": self.y, "x": self.x}
        return all(_meet(where[axis], _edges_of(at[axis])) for axis in raster.axes)

    def read(self) -> npt.NDArray[Any]:
        """Values (y, x)."""
        return _compute(self.raster, {**dict(self.place), "y": slice(*self.y), "x": slice(*self.x)})

    def neighbours(self) -> Iterator[Cell]:
        """The up to 8 cells around it."""
        y = _near(_cells_along(self.raster, "y"), self.y)
        x = _near(_cells_along(self.raster, "x"), self.x)
        for each in product(y, x):
            if each != (self.y, self.x):
                yield replace(self, y=each[0], x=each[1])


class Reader:
    """Reads windows of rasters.

    Parameters
    ----------
    on_error
        What to do with places that cannot be read: "stop" the job, or take "background".
    offsets
        Where the rasters begin along axes of the image that they were cropped from; for messages.
    """

    def __init__(
        self, on_error: OnReadError = "stop", offsets: Mapping[str, int] | None = None
    ) -> None:
        self.on_error, self._offsets = on_error, dict(offsets or {})
        self._filled: dict[tuple[Any, ...], tuple[Cell, npt.NDArray[Any]]] = {}
        self._events: dict[tuple[Any, ...], str] = {}
        self._lock = threading.RLock()
        self.listener = Listener()

    @property
    def events(self) -> list[str]:
        """What was left out so far, in the order of its place."""
        return [self._events[key] for key in sorted(self._events)]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.RLock())

    def read(self, raster: Raster, at: At) -> npt.NDArray[Any]:
        """Give the values of a window, its axes those of `raster` without the fixed ones.

        Raises
        ------
        InputError
            If a part of it cannot be read and is not to be left out.
        """
        memory = raster.memory
        if memory is not None:
            values: npt.NDArray[Any] = memory[_index(raster, at)]
            return values
        if not any(cell.meets(raster, at) for cell, _ in list(self._filled.values())):
            try:
                return _compute(raster, at)
            except Exception as error:
                if not is_read_error(error):
                    raise
        with self._lock:
            return self._from_cells(raster, at)

    def _from_cells(self, raster: Raster, at: At) -> npt.NDArray[Any]:
        shape = [s.stop - s.start for s in _index(raster, at) if isinstance(s, slice)]
        result = np.empty(shape, raster.dtype)
        y, x = _edges_of(at["y"]), _edges_of(at["x"])
        for number, cell in _cells_of(raster, at):
            values = np.broadcast_to(self._values(cell), (_length(cell.y), _length(cell.x)))
            (to_y, from_y), (to_x, from_x) = _shared(y, cell.y), _shared(x, cell.x)
            where: Any = (*number, to_y, to_x)
            result[where] = values[from_y, from_x]
        return result

    def _values(self, cell: Cell) -> npt.NDArray[Any]:
        """Values (y, x) of a cell, or the one value that stands for them."""
        if cell.key in self._filled:
            return self._filled[cell.key][1]
        try:
            return _read_patiently(cell)
        except Exception as error:
            if not is_read_error(error):
                raise
            where = self._where(cell)
            if self.on_error == "stop":
                raise _unreadable(where, error) from error
            return self._fill(cell, where, error)

    def _fill(self, cell: Cell, where: str, error: Exception) -> npt.NDArray[Any]:
        value = _darkest_around(cell, set(self._filled))
        self._filled[cell.key] = cell, value
        event = f"{where} cannot be read and was taken as {value.item():.6g}"
        self._events[cell.key] = event
        self.listener.left_out(event)
        warnings.warn(f"{event}: {_reason(error)}", TinctureWarning, stacklevel=2)
        return value

    def _where(self, cell: Cell) -> str:
        place = [f"{axis}={index + self._offsets.get(axis, 0)}" for axis, index in cell.place]
        place += [f"y={cell.y[0]}:{cell.y[1]}", f"x={cell.x[0]}:{cell.x[1]}"]
        return f"{cell.raster.name or 'image'} at {', '.join(place)}"


def _read_patiently(cell: Cell) -> npt.NDArray[Any]:
    for pause in PAUSES:
        try:
            return cell.read()
        except Exception as error:
            if not is_read_error(error):
                raise
            time.sleep(pause)
    return cell.read()


def _unreadable(where: str, error: Exception) -> InputError:
    return InputError(
        f"{where} cannot be read, tried {len(PAUSES) + 1} times: {_reason(error)}. Copy or convert "
        "the image again, or look after the connection; or pass on_read_error='background' (in "
        "the panel: tick 'leave out what cannot be read') to take such places as dark."
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _darkest_around(cell: Cell, unreadable: set[tuple[Any, ...]]) -> npt.NDArray[Any]:
    """Least finite value of the neighbours that can be read; 0 if there is none."""
    least = []
    for each in cell.neighbours():
        if each.key in unreadable:
            continue
        try:
            values = each.read()
        except Exception as error:
            if not is_read_error(error):
                raise
            continue
        finite = values[np.isfinite(values)]
        if finite.size:
            least.append(finite.min())
    return np.asarray(min(least, default=0), cell.raster.dtype)


def _cells_of(raster: Raster, at: At) -> Iterator[tuple[tuple[int, ...], Cell]]:
    """The cells that a window needs, each with its plane's number in the window."""
    outer = [axis for axis in raster.axes if axis not in "yx"]
    ranges = [range(*_edges_of(at[axis])) for axis in outer]
    y, x = (
        [edges for edges in _cells_along(raster, axis) if _meet(edges, _edges_of(at[axis]))]
        for axis in "yx"
    )
    for place in product(*ranges):
        number = tuple(
            index - choice.start
            for index, choice in zip(place, (at[axis] for axis in outer), strict=True)
            if isinstance(choice, slice)
        )
        for each in product(y, x):
            yield number, Cell(raster, tuple(zip(outer, place, strict=True)), *each)


def _cells_along(raster: Raster, axis: str) -> list[Edges]:
    edges = stored_edges(raster.data, raster.axes.index(axis))
    return list(pairwise(edges))


def _near(all_edges: list[Edges], own: Edges) -> list[Edges]:
    number = all_edges.index(own)
    return all_edges[max(number - 1, 0) : number + 2]


def _compute(raster: Raster, at: At) -> npt.NDArray[Any]:
    return read(raster.data, _index(raster, at), in_this_thread)


def _index(raster: Raster, at: At) -> tuple[Any, ...]:
    return tuple(at[axis] for axis in raster.axes)


def _edges_of(choice: int | slice) -> Edges:
    return (choice.start, choice.stop) if isinstance(choice, slice) else (choice, choice + 1)


def _length(edges: Edges) -> int:
    return edges[1] - edges[0]


def _meet(a: Edges, b: Edges) -> bool:
    return max(a[0], b[0]) < min(a[1], b[1])


def _shared(window: Edges, cell: Edges) -> tuple[slice, slice]:
    """What window and cell share, as places in the one and in the other."""
    start, stop = max(window[0], cell[0]), min(window[1], cell[1])
    return slice(start - window[0], stop - window[0]), slice(start - cell[0], stop - cell[0])
