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
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics._parts import Bad, Kept, Part, Read, ahead, checked, either
from napari_tincture.metrics.metric import Block, State, Statistic, in_one_type
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.regrid import Place

AREA = 1024
"""Side of an area in pixels, about."""
AHEAD = 3
"""Areas that are read, and that are measured, before the oldest is done."""
Channel = int | None
"""An index; None: all colours together."""


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
    chunks: tuple[Sequence[int], Sequence[int]] | None = None

    def __post_init__(self) -> None:
        pairs = [type(s).__name__ for s in self.statistics if not s.alone]
        if self.reference is None and pairs:
            raise ValueError(f"{', '.join(pairs)} need a reference, and there is none; give one.")

    @property
    def sources(self) -> list[Read]:
        """All that is read: the reference, if there is one, and the images."""
        return [*([] if self.reference is None else [self.reference]), *self.images]

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
    reference: Part | None
    images: Sequence[Part]
    core: Place
    place: Place
    regions: npt.NDArray[np.int32] | None

    @property
    def pixels(self) -> int:
        """Of the core."""
        y, x = self.place
        return int((y.stop - y.start) * (x.stop - x.start))


def _measure(step: _Step, key: Key) -> State:
    image = step.images[key.image]
    reference = image if key.statistic.alone or step.reference is None else step.reference
    bad = either(image.bad, reference.bad)
    planes = [
        part.values[... if key.channel is None else key.channel] for part in (image, reference)
    ]
    takes_bad = key.statistic.takes_bad
    block = Block(
        *in_one_type(*planes), step.core,
        step.place, step.plan.shape, step.plan.data_range,
        step.regions if takes_bad else _without(step, key.statistic.margin, bad), step.plan.count,
        bad if takes_bad else None,
    )  # fmt: skip
    return key.statistic.measure(block)


def _without(step: _Step, margin: int, bad: Bad) -> npt.NDArray[np.int32] | None:
    """The regions, without pixels whose windows see one that has no value."""
    if bad is None:
        return step.regions
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
    places = [
        (slice(*y), slice(*x))
        for y in list(pairwise(rows))[tally.done :]
        for x in pairwise(columns)
    ]
    kept = [Kept(plan.shape[1], 2 * plan.margin) for _ in plan.sources]
    if places and places[0][0].start:
        top = places[0][0].start
        strip = slice(max(0, top - 2 * plan.margin), top), slice(0, plan.shape[1])
        for each, source in zip(kept, plan.sources, strict=True):
            each.resume(checked(source(strip)))
    for place, parts in ahead(plan.sources, places, AHEAD, pool):
        joined = [each.around(part, place[1]) for each, part in zip(kept, parts, strict=True)]
        reference, images = _parted(plan, parts)
        for number, part in enumerate(images):
            bad = part.bad if reference is None else either(part.bad, reference.bad)
            if bad is not None:
                tally.left_out[number] = tally.left_out.get(number, 0) + int(bad.sum())
        ends = place[1].stop == plan.shape[1]
        if ends:
            for each in kept:
                each.turn()
        yield ends, _step(plan, joined, place)


def _parted(plan: Survey, parts: Sequence[Part]) -> tuple[Part | None, Sequence[Part]]:
    """The reference, if there is one, and the images."""
    return (None, parts) if plan.reference is None else (parts[0], parts[1:])


def _step(plan: Survey, parts: Sequence[Part], place: Place) -> _Step:
    """Cut what is ready now: up to the margin before the area's ends, and all at the plane's."""
    margin = plan.margin
    core, lies = [], []
    for s, side, length in zip(place, plan.shape, parts[0].values.shape[1:], strict=True):
        origin = s.stop - length
        start = max(s.start - margin, 0)
        stop = s.stop - margin if s.stop < side else side
        core.append(slice(start - origin, max(stop, start) - origin))
        lies.append(slice(start, max(stop, start)))
    return _Step(
        plan, *_parted(plan, parts), (core[0], core[1]), (lies[0], lies[1]),
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
