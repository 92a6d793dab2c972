"""Parts of a plane as they are read, and what is kept of them for the windows of later ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.regrid import Place, Window

Read = Callable[[Place], Window]
Bad = npt.NDArray[np.bool_] | None
"""Pixels (y, x) without a value; None: all have one."""


class Part(NamedTuple):
    """Values (c, y, x), and which pixels have none."""

    values: npt.NDArray[Any]
    bad: Bad

    def right(self, width: int) -> Part:
        """The last columns."""
        bad = None if self.bad is None else self.bad[:, -width:]
        return Part(self.values[..., -width:], bad)


def ahead(
    sources: Sequence[Read], places: Sequence[Place], count: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[Place, list[Part]]]:
    """Read places of all sources in order, so many before they are asked for."""
    waiting: deque[tuple[Place, list[Future[Part]]]] = deque()
    for place in places:
        waiting.append((place, [pool.submit(_read, source, place) for source in sources]))
        if len(waiting) > count:
            ready, futures = waiting.popleft()
            yield ready, [future.result() for future in futures]
    for ready, futures in waiting:
        yield ready, [future.result() for future in futures]


def _read(source: Read, place: Place) -> Part:
    return checked(source(place))


def checked(window: Window) -> Part:
    """Find pixels without a finite value; they become 0, and do not count."""
    values, valid = window
    bad = None if valid is None or valid.all() else ~valid
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            lacking = ~finite.all(axis=0)
            bad = lacking if bad is None else bad | lacking
            values = np.where(finite, values, values.dtype.type(0))
    return Part(values, bad)


def either(one: Bad, other: Bad) -> Bad:
    """Pixels that lack a value in one of two."""
    if one is None or other is None:
        return one if other is None else other
    return one | other


def without(
    regions: npt.NDArray[np.int32] | None, bad: npt.NDArray[np.bool_], core: Place, margin: int
) -> npt.NDArray[np.int32]:
    """Regions of a core, without pixels whose windows see one that has no value."""
    if margin:
        from scipy.ndimage import maximum_filter

        bad = maximum_filter(bad, size=2 * margin + 1, mode="constant")
    bad = bad[core]
    return np.where(
        bad, np.int32(-1), np.zeros(bad.shape, np.int32) if regions is None else regions
    )


class Kept:
    """The last rows of the areas above, over the whole width, and the last columns of the left.

    Parameters
    ----------
    width
        Of the plane.
    length
        How many rows and columns.
    """

    def __init__(self, width: int, length: int) -> None:
        self._width, self._length = width, length
        self._old: Part | None = None
        self._new: Part | None = None
        self._left: Part | None = None

    def resume(self, strip: Part) -> None:
        """Take rows over the whole width, which a row of areas will lie below."""
        self._take(strip, slice(0, self._width))
        self.turn()

    def around(self, part: Part, x: slice) -> Part:
        """A part with what lies above it and left of it; keeps of it what later ones need."""
        whole = self._over(part, x)
        if not self._length:
            return whole
        self._take(whole, x)
        found = whole if self._left is None else _joined(self._left, whole, -1)
        self._left = found.right(self._length)
        return found

    def turn(self) -> None:
        """Begin the next row of areas."""
        new, self._new, self._left = self._new, None, None
        if new is not None and new.bad is not None and not new.bad.any():
            new = Part(new.values, None)
        self._old = new

    def _over(self, part: Part, x: slice) -> Part:
        if self._old is None or not self._length:
            return part
        bad = None if self._old.bad is None else self._old.bad[:, x]
        return _joined(Part(self._old.values[..., x], bad), part, -2)

    def _take(self, whole: Part, x: slice) -> None:
        if not self._length:
            return
        low = whole.values[:, -self._length :]
        if self._new is None:
            empty = np.empty((*low.shape[:-1], self._width), low.dtype)
            self._new = Part(empty, np.zeros((low.shape[1], self._width), np.bool_))
        self._new.values[..., x] = low
        assert self._new.bad is not None
        self._new.bad[:, x] = False if whole.bad is None else whole.bad[-self._length :]


def _joined(one: Part, other: Part, axis: int) -> Part:
    values = np.concatenate([one.values, other.values], axis=axis)
    if one.bad is None and other.bad is None:
        return Part(values, None)
    bad = [
        np.zeros(part.values.shape[1:], np.bool_) if part.bad is None else part.bad
        for part in (one, other)
    ]
    return Part(values, np.concatenate(bad, axis=axis))
