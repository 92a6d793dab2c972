"""A thread that computes single tiles of a job on request, and has time for the rest.

In this order: tiles that someone waits for; small copies of what was computed before; values of
the whole image that so far come from a few samples; tiles that nobody waits for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Protocol

from napari_tincture.errors import Cancelled
from napari_tincture.io.pyramid import downsample
from napari_tincture.io.tile_cache import TileCache
from napari_tincture.progress import CancelToken
from napari_tincture.tiling.backend import Answers
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.tiling.job import Item as JobItem
from napari_tincture.tiling.job import TileJob
from napari_tincture.tiling.lazy import BlockJob
from napari_tincture.tiling.live_layout import Block, LiveLayout, Plane, TileIndex
from napari_tincture.tiling.mosaic import aligned_level
from napari_tincture.tiling.whole import PlaneValues, first_values

Item = tuple[Plane, TileIndex]

DEEPEST_COPY = 3
"""Level of the small copies of tiles that are kept for the overview."""
SHALLOWEST_COPY = 1
COPIES_AT_ONCE = 16


class CachedJob(BlockJob, Protocol):
    """A job that keeps its blocks by plane and index."""

    cache: BlockCache


class TileServer:
    """Computes tiles in a thread of its own; the backend of a live pyramid.

    Parameters
    ----------
    job
        Gives the blocks.
    maps
        The job that runs the network; None if nobody knows.
    layout
        What the result is like.
    answers
        Hears of every request, in the server's thread.
    busy
        Called with True when there is something urgent to do and with False when it is done.
    """

    def __init__(
        self,
        job: CachedJob,
        maps: TileJob | None,
        layout: LiveLayout,
        answers: Answers,
        busy: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.job, self.maps, self.layout = job, maps, layout
        self._answers, self._busy = answers, busy
        self._changed = threading.Condition()
        self._urgent: deque[Item] = deque()
        self._later: deque[Item] = deque()
        self._running: Item | None = None
        self._revoked = False
        self._closed = False
        self._unsettled: deque[Plane] = deque()
        self._prepared: set[Plane] = set()
        self._copies: Iterator[Any] = iter(())
        self._more_copies = True
        self._thread = threading.Thread(target=self._run, name="tincture-live")

    @property
    def alive(self) -> bool:
        """Whether it may still compute."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def request(self, plane: Plane, index: TileIndex, urgent: bool) -> None:
        """Compute a tile soon; one that is not urgent when nothing else is to do."""
        with self._changed:
            (self._urgent if urgent else self._later).append((plane, index))
            self._changed.notify()

    def revoke(self, plane: Plane, index: TileIndex) -> None:
        """Drop a tile; one under way is given up as soon as another is urgent."""
        item = plane, index
        with self._changed:
            if item == self._running:
                self._revoked = True
                return
            for waiting in (self._urgent, self._later):
                if item in waiting:
                    waiting.remove(item)
                    break
            else:
                return  # it has been answered
        self._answers.dropped(plane, index)

    def close(self) -> None:
        """Stop within a layer of the network, without waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self) -> None:
        """Wait until nothing runs any more."""
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        self._recall()
        while (task := self._next()) is not None:
            try:
                task()
            except Cancelled:
                continue
            finally:
                self._flush()
                self._rest()

    def _next(self) -> Callable[[], None] | None:
        """Wait for something to do; None when closed."""
        with self._changed:
            while not self._closed:
                for waiting in (self._urgent, None, self._later):
                    if waiting is None:
                        if self._more_copies:
                            return self._send_copies
                        if self._unsettled:
                            return self._settle
                    elif waiting:
                        self._running, self._revoked = waiting.popleft(), False
                        self._busy(waiting is self._urgent)
                        return self._answer
                self._changed.wait()
            return None

    def _rest(self) -> None:
        with self._changed:
            self._running = None
            if not self._urgent:
                self._busy(False)

    def _answer(self) -> None:
        assert self._running is not None
        plane, index = self._running
        try:
            self._prepare(plane)
            began = time.perf_counter()
            known = self.job.cache.get((plane, index)) is not None
            block = self.job.block(plane, index)
            seconds = None if known else time.perf_counter() - began
        except Cancelled:
            self._answers.dropped(plane, index)
        except Exception as error:  # noqa: BLE001 - told where the layer is
            self._answers.failed(plane, index, f"{type(error).__name__}: {error}")
        else:
            with self._changed:
                self._running = None  # too late to revoke it
            self._answers.arrived(plane, index, block, seconds=seconds)
            if not known:
                self._keep_copy(plane, index, block)

    def _check(self) -> None:
        """Give up what nobody wants any more; called between the layers of the network."""
        mine = threading.current_thread() is self._thread  # others may run the same network
        if mine and (self._closed or (self._revoked and self._urgent)):
            raise Cancelled("The tile left the screen.")

    def _prepare(self, plane: Plane) -> None:
        """See that a plane has values of the whole image, if only from samples."""
        maps = self.maps
        if maps is None or plane in self._prepared:
            return
        maps.engine.check = self._check
        settled = True
        if plane not in maps.known:
            values = first_values(maps, plane, _Until(self._check))
            if values is not None:
                maps.adopt(plane, values)
                settled = False
            else:
                found: list[tuple[JobItem, Block]] = []
                maps.values_of(plane, _Until(self._check), lambda *pair: found.append(pair))
                self._use(plane, settled)
                for item, block in found:
                    maps.keep(item, block)
        self._use(plane, settled)

    def _use(self, plane: Plane, settled: bool) -> None:
        """Go on with the values that a plane has now."""
        assert self.maps is not None
        values = self.maps.known[plane].to_json()
        for cache in self._disks():
            cache.use(plane, values | {"settled": settled})
        self._prepared.add(plane)
        if not settled:
            self._unsettled.append(plane)
        place = ",".join(map(str, self.maps.inputs.place_of(plane)))
        self._answers.know(plane, place, values, settled)

    def _settle(self) -> None:
        """Find final values of a plane, unless something urgent comes between."""
        plane, maps = self._unsettled[0], self.maps
        assert maps is not None
        blocks: list[tuple[JobItem, Block]] = []
        fits = maps.bytes <= maps.cache.limit

        def keep(item: JobItem, block: Block) -> None:
            if fits:
                blocks.append((item, block))

        found = maps.search(plane, _Until(self._check_for_urgent), keep)
        self._unsettled.popleft()
        stale = not _same(found, maps.known[plane])
        maps.adopt(plane, found)
        self.job.cache.clear()
        self._use(plane, settled=True)
        for item, block in blocks:
            maps.keep(item, block)
        self._answers.settle(plane, stale)

    def _check_for_urgent(self) -> None:
        if self._closed or self._urgent:
            raise Cancelled("Something else is to be done first.")

    def _disks(self) -> list[TileCache]:
        caches = [self.job.cache] + ([] if self.maps is None else [self.maps.cache])
        return [cache for cache in caches if isinstance(cache, TileCache)]

    def _flush(self) -> None:
        for cache in self._disks():
            cache.flush()

    def _recall(self) -> None:
        """Take up the values and the small copies of an earlier day."""
        disks = self._disks()
        maps = self.maps
        for plane in self.layout.planes if disks and maps is not None else ():
            kept = disks[-1].values(plane)
            if maps is not None and kept is not None and plane not in maps.known:
                maps.adopt(plane, PlaneValues.from_json(kept))
                self._use(plane, settled=bool(kept["settled"]))
        if disks:
            self._copies = disks[0].overviews(self.layout.planes)

    def _send_copies(self) -> None:
        """Send small copies, a few at a time."""
        count = 0
        for key, level, small in islice(self._copies, COPIES_AT_ONCE):
            self._answers.arrived(key[0], key[1], small, level=level)
            count += 1
        self._more_copies = count == COPIES_AT_ONCE

    def _keep_copy(self, plane: Plane, index: TileIndex, block: Block) -> None:
        cache = self.job.cache
        starts = [part.start for part in self.job.grid.place(self.job.grid[index])]
        level = min(aligned_level(starts, DEEPEST_COPY), len(self.layout.shapes) - 1)
        if isinstance(cache, TileCache) and level >= SHALLOWEST_COPY:
            for _ in range(level):
                block = downsample(block, self.layout.kind)
            cache.put_overview((plane, index), level, block)


class _Until(CancelToken):
    """Ends a search as soon as a check raises."""

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check

    def check(self) -> None:
        self._check()


def _same(a: PlaneValues, b: PlaneValues) -> bool:
    one, two = a.to_json(), b.to_json()
    return bool(one["stats"] == two["stats"] and one["shares"] == two["shares"])
