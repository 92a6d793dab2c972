"""Statistics of planes of any size: every pixel is read once, in bounded memory.

1. Areas of the plane are read in rows, a few ahead, in threads.
2. What windows of a later area will see of an earlier one is kept.
3. So an area's *core*, for which all that its windows see has come, lags behind by the margin.
4. Cores are measured in threads; their rows are merged in order, whatever the number of threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics._parts import Kept, Part, Read, ahead, checked, either, without
from napari_tincture.metrics.metric import Block, State, Statistic, in_one_type
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.regrid import Place

AREA = 1024
"""Side of an area in pixels, about."""
AHEAD = 3
"""Areas that are read, and that are measured, before the oldest is done."""
Channel = int | None
"""An index; None: all colours together."""
REFERENCE = -1
"""Its number among the images."""


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
        Read windows of it, all with the same channels. Without reference (None), all statistics
        are of the image alone.
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
    both
        Whether statistics of an image alone are taken of the reference, too.
    chunks
        Lengths of the reference's chunks along y and x, which areas respect.
    """

    shape: tuple[int, int]
    images: Sequence[Read]
    reference: Read | None
    channels: Sequence[int]
    statistics: Sequence[Statistic]
    data_range: float
    regions: Callable[[Place], npt.NDArray[np.int32]] | None = None
    count: int = 1
    both: bool = False
    chunks: tuple[Sequence[int], Sequence[int]] | None = None

    def __post_init__(self) -> None:
        pairs = [type(s).__name__ for s in self.statistics if not s.alone]
        if self.reference is None and pairs:
            raise ValueError(f"{', '.join(pairs)} need a reference, and there is none; give one.")

    @property
    def sources(self) -> dict[int, Read]:
        """All that is read, by number: the reference, if there is one, and the images."""
        reference = {} if self.reference is None else {REFERENCE: self.reference}
        return reference | dict(enumerate(self.images))

    @property
    def margin(self) -> int:
        """Pixels that windows of any statistic see around a core."""
        return max(statistic.margin for statistic in self.statistics)

    @property
    def keys(self) -> list[Key]:
        """All rows."""
        return [
            Key(image, channel, statistic)
            for image in self.sources
            for statistic in self.statistics
            if image != REFERENCE or (self.both and statistic.alone)
            for channel in ([None] if statistic.colour else self.channels)
        ]

    def edges(self) -> tuple[list[int], list[int]]:
        """Where areas begin along y and x, and where the last ends."""
        chunks = self.chunks or ((self.shape[0],), (self.shape[1],))
        return tuple(area_edges(c, side) for c, side in zip(chunks, self.shape, strict=True))  # type: ignore[return-value]


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

    def join(self, other: Tally) -> None:
        """Merge what was summed of other rows of areas."""
        for key, row in other.rows.items():
            self.add(key, row)
        for image, count in other.left_out.items():
            self.left_out[image] = self.left_out.get(image, 0) + count


def survey(
    plan: Survey,
    progress: Progress,
    cancel: CancelToken,
    tally: Tally | None = None,
    keep: Callable[[Tally], None] = lambda _: None,
    stop: int | None = None,
) -> Tally:
    """Go once through a plane, or through some rows of its areas.

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
    stop
        Number of rows of areas after which to end; with a new `tally` of which so many are
        `done`, the others go elsewhere.

    Raises
    ------
    Cancelled
        If `cancel` was raised.
    """
    tally = tally or Tally()
    rows, columns = plan.edges()
    rows = rows if stop is None else rows[: stop + 1]
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
    parts: dict[int, Part]
    core: Place
    place: Place
    regions: npt.NDArray[np.int32] | None

    @property
    def pixels(self) -> int:
        """Of the core."""
        y, x = self.place
        return int((y.stop - y.start) * (x.stop - x.start))


def _measure(step: _Step, key: Key) -> State:
    image = step.parts[key.image]
    reference = image if key.statistic.alone else step.parts[REFERENCE]
    bad = either(image.bad, reference.bad)
    planes = [
        part.values[... if key.channel is None else key.channel] for part in (image, reference)
    ]
    takes_bad = key.statistic.takes_bad
    block = Block(
        *in_one_type(*planes), step.core,
        step.place, step.plan.shape, step.plan.data_range,
        step.regions if takes_bad or bad is None
        else without(step.regions, bad, step.core, key.statistic.margin), step.plan.count,
        bad if takes_bad else None,
    )  # fmt: skip
    return key.statistic.measure(block)


def _windows(
    plan: Survey, rows: list[int], columns: list[int], tally: Tally, pool: ThreadPoolExecutor
) -> Iterator[tuple[bool, _Step]]:
    """Areas in order, each with what was kept of earlier ones; and whether it ends its row."""
    places = [
        (slice(*y), slice(*x))
        for y in list(pairwise(rows))[tally.done :]
        for x in pairwise(columns)
    ]
    kept = {n: Kept(plan.shape[1], 2 * plan.margin) for n in plan.sources}
    if places and places[0][0].start:
        top = places[0][0].start
        strip = slice(max(0, top - 2 * plan.margin), top), slice(0, plan.shape[1])
        for number, source in plan.sources.items():
            kept[number].resume(checked(source(strip)))
    for place, read in ahead([*plan.sources.values()], places, AHEAD, pool):
        parts = dict(zip(plan.sources, read, strict=True))
        _count_lacking(plan, parts, tally)
        joined = {number: kept[number].around(part, place[1]) for number, part in parts.items()}
        ends = place[1].stop == plan.shape[1]
        if ends:
            for each in kept.values():
                each.turn()
        yield ends, _step(plan, joined, place)


def _count_lacking(plan: Survey, parts: dict[int, Part], tally: Tally) -> None:
    for number in {key.image for key in plan.keys}:
        bad = either(parts[number].bad, parts.get(REFERENCE, parts[number]).bad)
        if bad is not None:
            tally.left_out[number] = tally.left_out.get(number, 0) + int(bad.sum())


def _step(plan: Survey, parts: dict[int, Part], place: Place) -> _Step:
    """Cut what is ready now: up to the margin before the area's ends, and all at the plane's."""
    margin = plan.margin
    core, lies = [], []
    for s, side, length in zip(
        place, plan.shape, next(iter(parts.values())).values.shape[1:], strict=True
    ):
        origin = s.stop - length
        start = max(s.start - margin, 0)
        stop = s.stop - margin if s.stop < side else side
        core.append(slice(start - origin, max(stop, start) - origin))
        lies.append(slice(start, max(stop, start)))
    return _Step(
        plan, parts, (core[0], core[1]), (lies[0], lies[1]),
        None if plan.regions is None else plan.regions((lies[0], lies[1])),
    )  # fmt: skip


def area_edges(chunks: Sequence[int], side: int) -> list[int]:
    """Ends of areas: whole chunks, about `AREA` together; parts of chunks that are larger."""
    edges = [0]
    ends = np.cumsum(chunks).tolist()
    for end in ends:
        while end - edges[-1] > 2 * AREA:
            edges.append(edges[-1] + AREA)
        if end - edges[-1] >= AREA or end == side:
            edges.append(end)
    return edges
