"""Statistics of planes of any size: every pixel is read once, in bounded memory.

1. Areas of the plane are read in rows, a few ahead, in threads.
2. What windows of a later area will see of an earlier one is kept: a strip along the bottom of the
   last row of areas, and one along the right of the last area.
3. So an area's *core*, for which all that its windows see has come, lags behind by the margin.
4. Cores are measured in threads; their rows are merged in order, so that the result does not
   depend on the number of threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Block, State, Statistic, in_one_type
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.regrid import Place, Window

AREA = 1024
"""Side of an area in pixels, about."""
AHEAD = 3
"""Areas that are read, and that are measured, before the oldest is done."""
Channel = int | None
"""An index; None: all colours together."""


Read = Callable[[Place], Window]


class Key(NamedTuple):
    """What a row of sums belongs to: number of the image, channel, statistic."""

    image: int
    channel: Channel
    statistic: Statistic


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is measured on one plane.

    Attributes
    ----------
    shape
        Height and width of the plane.
    images, reference
        Read windows of it, all with the same channels.
    channels
        Those that statistics of one channel are taken of.
    statistics
        What is taken.
    data_range
        Difference between the largest and the smallest possible value.
    regions
        Gives the region of every pixel of a place, -1: none; None: all pixels are region 0.
    count
        Number of regions.
    chunks
        Lengths of the reference's chunks along y and x, which areas respect.
    """

    shape: tuple[int, int]
    images: Sequence[Read]
    reference: Read
    channels: Sequence[int]
    statistics: Sequence[Statistic]
    data_range: float
    regions: Callable[[Place], npt.NDArray[np.int32]] | None = None
    count: int = 1
    chunks: tuple[Sequence[int], Sequence[int]] | None = None

    @property
    def margin(self) -> int:
        """Pixels that windows of any statistic see around a core."""
        return max(statistic.margin for statistic in self.statistics)

    @property
    def keys(self) -> list[Key]:
        """All rows."""
        return [
            Key(image, channel, statistic)
            for image in range(len(self.images))
            for statistic in self.statistics
            for channel in ([None] if statistic.colour else self.channels)
        ]

    def edges(self) -> tuple[list[int], list[int]]:
        """Where areas begin along y and x, and where the last ends."""
        chunks = self.chunks or ((self.shape[0],), (self.shape[1],))
        return tuple(_edges(c, side) for c, side in zip(chunks, self.shape, strict=True))  # type: ignore[return-value]


@dataclass
class Tally:
    """What was summed so far.

    Attributes
    ----------
    rows
        Of every key, (regions, numbers).
    left_out
        By image, the pixels that had no finite value in it or in the reference.
    done
        Rows of areas that are finished.
    """

    rows: dict[Key, State] = field(default_factory=dict)
    left_out: dict[int, int] = field(default_factory=dict)
    done: int = 0

    def add(self, key: Key, row: State) -> None:
        """Merge the row of a further block."""
        before = self.rows.get(key)
        self.rows[key] = row if before is None else key.statistic.merge(before, row)


def survey(
    plan: Survey,
    progress: Progress,
    cancel: CancelToken,
    tally: Tally | None = None,
    keep: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Go once through a plane.

    Parameters
    ----------
    plan
        What is measured.
    progress
        Called with the number of finished areas, and of all.
    cancel
        Checked between areas.
    tally
        Of an earlier run of the same plan, which is continued.
    keep
        Called with what was summed after every row of areas.

    Raises
    ------
    Cancelled
        If `cancel` was raised.
    """
    tally = tally or Tally()
    rows, columns = plan.edges()
    total = (len(rows) - 1) * (len(columns) - 1)
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as readers, ThreadPoolExecutor(threads) as measurers:
        waiting: deque[list[tuple[Key, Future[State]]]] = deque()

        def settle(left: int) -> None:
            while len(waiting) > left:
                for key, future in waiting.popleft():
                    tally.add(key, future.result())

        try:
            done = tally.done * (len(columns) - 1)
            progress(done, total)
            for last, step in _windows(plan, rows, columns, tally, readers):
                cancel.check()
                keys = plan.keys if step.pixels else []
                waiting.append([(key, measurers.submit(_measure, step, key)) for key in keys])
                settle(AHEAD)
                done += 1
                progress(done, total)
                if last:
                    settle(0)
                    tally.done += 1
                    keep(tally)
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
            measurers.shutdown(wait=False, cancel_futures=True)
    return tally


class _Step(NamedTuple):
    """A core and what lies around it, of the reference and all images."""

    plan: Survey
    reference: npt.NDArray[Any]
    images: list[npt.NDArray[Any]]
    bad: list[npt.NDArray[np.bool_] | None]
    core: Place
    place: Place
    regions: npt.NDArray[np.int32] | None

    @property
    def pixels(self) -> int:
        """Of the core."""
        y, x = self.place
        return int((y.stop - y.start) * (x.stop - x.start))


def _measure(step: _Step, key: Key) -> State:
    image, reference = step.images[key.image], step.reference
    if key.channel is not None:
        image, reference = image[key.channel], reference[key.channel]
    block = Block(
        *in_one_type(image, reference), step.core,
        step.place, step.plan.shape, step.plan.data_range,
        _without(step, key), step.plan.count,
    )  # fmt: skip
    return key.statistic.measure(block)


def _without(step: _Step, key: Key) -> npt.NDArray[np.int32] | None:
    """The regions, without pixels whose windows see one that has no value."""
    bad = step.bad[key.image]
    if bad is None:
        return step.regions
    margin = key.statistic.margin
    if margin:
        from scipy.ndimage import maximum_filter

        bad = maximum_filter(bad, size=2 * margin + 1, mode="constant")
    bad = bad[step.core]
    regions = np.zeros(bad.shape, np.int32) if step.regions is None else step.regions
    return np.where(bad, np.int32(-1), regions)


def _windows(
    plan: Survey, rows: list[int], columns: list[int], tally: Tally, pool: ThreadPoolExecutor
) -> Iterator[tuple[bool, _Step]]:
    """Areas in order, each with what was kept of earlier ones; and whether it ends its row."""
    kept = 2 * plan.margin
    places = [
        (slice(*y), slice(*x))
        for y in list(pairwise(rows))[tally.done :]
        for x in pairwise(columns)
    ]
    sources = [plan.reference, *plan.images]
    above = [_Above(plan.shape[1], kept) for _ in sources]
    if places and places[0][0].start:
        top = places[0][0].start
        strip = slice(max(0, top - kept), top), slice(0, plan.shape[1])
        for strips, source in zip(above, sources, strict=True):
            strips.take(_checked(source(strip)), slice(0, plan.shape[1]))
            strips.turn()
    left: list[_Part | None] = [None] * len(sources)
    for place, parts in _ahead(sources, places, pool):
        if place[1].start == 0:
            left = [None] * len(sources)
        joined = []
        for number, part in enumerate(parts):
            whole = above[number].over(part, place[1])
            above[number].take(whole, place[1])
            before = left[number]
            joined.append(whole if before is None else _joined(before, whole, -1))
            left[number] = joined[-1].right(kept) if kept else None
        for number, part in enumerate(parts[1:]):
            bad = _either(parts[0].bad, part.bad)
            if bad is not None:
                tally.left_out[number] = tally.left_out.get(number, 0) + int(bad.sum())
        ends = place[1].stop == plan.shape[1]
        if ends:
            for strips in above:
                strips.turn()
        yield ends, _step(plan, joined, place)


class _Part(NamedTuple):
    """Values (c, y, x) and which pixels (y, x) have none; None: all have."""

    values: npt.NDArray[Any]
    bad: npt.NDArray[np.bool_] | None

    def right(self, width: int) -> _Part:
        """The last columns."""
        bad = None if self.bad is None else self.bad[:, -width:]
        return _Part(self.values[..., -width:], bad)


def _joined(one: _Part, other: _Part, axis: int) -> _Part:
    values = np.concatenate([one.values, other.values], axis=axis)
    if one.bad is None and other.bad is None:
        return _Part(values, None)
    bad = [
        np.zeros(part.values.shape[1:], np.bool_) if part.bad is None else part.bad
        for part in (one, other)
    ]
    return _Part(values, np.concatenate(bad, axis=axis))


class _Above:
    """The last rows of the areas above, over the whole width of the plane."""

    def __init__(self, width: int, rows: int) -> None:
        self._width, self._rows = width, rows
        self._old: _Part | None = None
        self._new: _Part | None = None

    def over(self, part: _Part, x: slice) -> _Part:
        """A part with the rows above it."""
        if self._old is None or not self._rows:
            return part
        bad = None if self._old.bad is None else self._old.bad[:, x]
        return _joined(_Part(self._old.values[..., x], bad), part, -2)

    def take(self, whole: _Part, x: slice) -> None:
        """Keep the last rows of a part, for the areas below."""
        if not self._rows:
            return
        low = whole.values[:, -self._rows :]
        if self._new is None:
            empty = np.empty((*low.shape[:-1], self._width), low.dtype)
            self._new = _Part(empty, np.zeros((low.shape[1], self._width), np.bool_))
        self._new.values[..., x] = low
        assert self._new.bad is not None
        self._new.bad[:, x] = False if whole.bad is None else whole.bad[-self._rows :]

    def turn(self) -> None:
        """Begin the next row of areas."""
        new, self._new = self._new, None
        if new is not None and new.bad is not None and not new.bad.any():
            new = _Part(new.values, None)
        self._old = new


def _ahead(
    sources: Sequence[Read], places: Sequence[Place], pool: ThreadPoolExecutor
) -> Iterator[tuple[Place, list[_Part]]]:
    waiting: deque[tuple[Place, list[Future[_Part]]]] = deque()
    for place in places:
        waiting.append((place, [pool.submit(_read, source, place) for source in sources]))
        if len(waiting) > AHEAD:
            ready, futures = waiting.popleft()
            yield ready, [future.result() for future in futures]
    for ready, futures in waiting:
        yield ready, [future.result() for future in futures]


def _read(source: Read, place: Place) -> _Part:
    return _checked(source(place))


def _checked(window: Window) -> _Part:
    """Find pixels without a finite value; they become 0, and do not count."""
    values, valid = window
    bad = None if valid is None or valid.all() else ~valid
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            lacking = ~finite.all(axis=0)
            bad = lacking if bad is None else bad | lacking
            values = np.where(finite, values, values.dtype.type(0))
    return _Part(values, bad)


def _either(
    one: npt.NDArray[np.bool_] | None, other: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_] | None:
    if one is None or other is None:
        return one if other is None else other
    return one | other


def _step(plan: Survey, parts: Sequence[_Part], place: Place) -> _Step:
    """Cut what is ready now: up to the margin before the area's ends, and all at the plane's."""
    margin = plan.margin
    core, lies = [], []
    for s, side, length in zip(place, plan.shape, parts[0].values.shape[1:], strict=True):
        origin = s.stop - length
        start = s.start - margin if s.start else 0
        stop = s.stop - margin if s.stop < side else side
        start = max(start, 0)
        core.append(slice(start - origin, max(stop, start) - origin))
        lies.append(slice(start, max(stop, start)))
    reference, *images = parts
    return _Step(
        plan, reference.values, [image.values for image in images],
        [_either(reference.bad, image.bad) for image in images],
        (core[0], core[1]), (lies[0], lies[1]),
        None if plan.regions is None else plan.regions((lies[0], lies[1])),
    )  # fmt: skip


def _edges(chunks: Sequence[int], side: int) -> list[int]:
    """Ends of areas: whole chunks, about `AREA` together; parts of chunks that are larger."""
    edges = [0]
    ends = np.cumsum(chunks).tolist()
    for end in ends:
        while end - edges[-1] > 2 * AREA:
            edges.append(edges[-1] + AREA)
        if end - edges[-1] >= AREA or end == side:
            edges.append(end)
    return edges
