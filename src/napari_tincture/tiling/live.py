"""A result that is computed where someone looks, nearest to the centre of the screen first.

1. `look` says what is on screen; tiles there that are not held become wanted, the rest is dropped.
2. At most two tiles are with the backend, one that is computed and the next, so that a new look
   is followed at once; what left the screen is revoked.
3. The backend answers with a block, or that it dropped the tile, or why it failed.
4. Blocks go into the mosaic, whoever asked for them; `notify` is called, and the next is requested.

Nothing here waits, and nothing here runs the network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from napari_tincture.tiling.backend import Backend, LiveStatus
from napari_tincture.tiling.live_layout import Block, LiveLayout, Plane, TileIndex
from napari_tincture.tiling.mosaic import Bounds, Mosaic

Item = tuple[Plane, TileIndex]

SLOTS = 2
"""Tiles that the backend has at a time."""
MOST_ON_SCREEN = 100
"""Tiles on screen beyond which nothing is computed: the view is an overview."""


class LivePyramid:
    """A result's tiles: what is known, what is wanted, and what is under way.

    Parameters
    ----------
    layout
        What the result is like.
    notify
        Called without arguments after every change, in the thread that made it.
    mosaic
        Holds what is known; a new one unless given.
    """

    def __init__(
        self, layout: LiveLayout, notify: Callable[[], None], mosaic: Mosaic | None = None
    ) -> None:
        self.layout, self._notify = layout, notify
        self.mosaic = mosaic or Mosaic(layout)
        self._backend: Backend | None = None
        self._lock = threading.RLock()
        self._closed = False
        self._wanted: list[Item] = []
        self._on_screen: set[Item] = set()
        self._running: dict[Item, bool] = {}
        self._revoked: set[Item] = set()
        self._done: set[Item] = set()
        self._broken: set[Item] = set()
        self._rest: Iterator[Item] | None = None
        self._again: list[Item] = []
        self._sampled: set[Plane] = set()
        self._values: dict[str, Mapping[str, Any]] = {}
        self._pace: float | None = None
        self._overview = False
        self._problem = ""
        self.changes = 0

    def connect(self, backend: Backend) -> None:
        """Give the requests to a backend from now on; what another one had is asked for again."""
        with self._lock:
            self._backend = backend
            lost = [item for item in self._running if item in self._on_screen]
            self._running.clear()
            self._revoked.clear()
            self._wanted = lost + [item for item in self._wanted if item not in lost]
            self._problem = ""
            self._pump()

    def lose(self, problem: str) -> None:
        """Have no backend for the time being."""
        with self._lock:
            self._backend, self._problem = None, problem
        self._tell()

    def look(self, plane: Plane, bounds: Bounds, level: int) -> None:
        """Say what is on screen.

        Parameters
        ----------
        plane
            The plane that is shown.
        bounds
            Its part that is on screen, in pixels of level 0.
        level
            The level that shows it.
        """
        tiles = self.mosaic.tiles(bounds)
        with self._lock:
            self._overview = len(tiles) > MOST_ON_SCREEN
            items = [] if self._overview else [(plane, tile) for tile in tiles]
            self._on_screen = set(items)
            missing = [item for item in items if not self.mosaic.holds(plane, level, item[1])]
            centre = [(start + stop) / 2 for start, stop in bounds]
            missing.sort(key=lambda item: self._distance(item[1], centre))
            self._wanted = [
                item for item in missing if item not in self._running and item not in self._broken
            ]
            self._revoke_what_nobody_sees()
            self._pump()
        self._tell()

    def look_away(self) -> None:
        """Say that nothing is on screen: the layer is hidden, or shown in three dimensions."""
        with self._lock:
            self._wanted, self._on_screen, self._overview = [], set(), False
            self._revoke_what_nobody_sees()
            self._pump()
        self._tell()

    def finish(self, wanted: bool = True) -> None:
        """Compute all that is left whenever the screen has what it needs; or no longer."""
        with self._lock:
            self._rest = self._all_items() if wanted else None
            self._again = []
            if not wanted:
                self._revoke_what_nobody_sees()
            self._pump()
        self._tell()

    def arrived(
        self,
        plane: Plane,
        index: TileIndex,
        block: Block,
        *,
        level: int = 0,
        seconds: float | None = None,
    ) -> None:
        """Take a tile (c, y, x), or its copy at a level; `seconds` tells how long it took."""
        if self._closed:
            return
        item = plane, index
        self.mosaic.write(plane, index, block, level)
        with self._lock:
            self._done.add(item)
            self.changes += 1
            if level == 0:
                self._leave(item)
                self._problem = ""
                if item in self._wanted:
                    self._wanted.remove(item)
            if seconds is not None:
                self._pace = seconds if self._pace is None else 0.5 * (self._pace + seconds)
            self._pump()
        self._tell()

    def dropped(self, plane: Plane, index: TileIndex) -> None:
        """Hear that a tile was not computed because it was revoked."""
        item = plane, index
        with self._lock:
            background = not self._running.get(item, True)
            self._leave(item)
            if background and self._rest is not None:
                self._again.append(item)
            elif item in self._on_screen and item not in self._wanted:
                self._wanted.append(item)  # it left the screen and came back meanwhile
            self._pump()
        self._tell()

    def failed(self, plane: Plane, index: TileIndex, problem: str) -> None:
        """Hear that a tile cannot be computed; it is not asked for again."""
        item = plane, index
        with self._lock:
            self._leave(item)
            self._broken.add(item)
            self._problem = problem
            self._pump()
        self._tell()

    def know(self, plane: Plane, place: str, values: Mapping[str, Any], settled: bool) -> None:
        """Hear what a plane's tiles take from the whole image, and whether that is final.

        Parameters
        ----------
        plane
            The plane.
        place
            Its name in the provenance of a result.
        values
            As in the provenance of a result, too.
        settled
            Whether they are final; else they come from a few samples.
        """
        with self._lock:
            (self._sampled.discard if settled else self._sampled.add)(plane)
            self._values[place] = values
        self._tell()

    @property
    def values(self) -> dict[str, Mapping[str, Any]] | None:
        """Final values of all planes, by their name in a provenance; None if any is missing."""
        with self._lock:
            complete = len(self._values) == len(self.layout.planes) and not self._sampled
            return dict(self._values) if complete else None

    def settle(self, plane: Plane, stale: bool) -> None:
        """Hear that a plane's values of the whole image have settled; its tiles may be `stale`."""
        with self._lock:
            if stale:
                self.mosaic.outdate(plane)
                old = {item for item in self._done if item[0] == plane}
                self._done -= old
                again = [item for item in self._on_screen if item in old]
                self._wanted += [item for item in again if item not in self._wanted]
                if self._rest is not None:
                    self._rest = self._all_items()
            self._pump()
        self._tell()

    @property
    def status(self) -> LiveStatus:
        """How far it is."""
        with self._lock:
            queued = len(self._wanted) + len(self._on_screen & self._running.keys())
            total = len(self.layout.rows) * len(self.layout.columns) * len(self.layout.planes)
            return LiveStatus(
                done=len(self._done), total=total, queued=queued,
                seconds=None if self._pace is None else self._pace * queued,
                overview=self._overview, sampled=len(self._sampled), problem=self._problem,
                finishing=self._rest is not None and len(self._done) < total,
            )  # fmt: skip

    def close(self) -> None:
        """Want nothing any more, and let the backend go."""
        with self._lock:
            self._closed = True
            backend, self._backend = self._backend, None
            self._wanted, self._rest, self._notify = [], None, _silent
        if backend is not None:
            backend.close()

    def _tell(self) -> None:
        self._notify()

    def _leave(self, item: Item) -> None:
        self._running.pop(item, None)
        self._revoked.discard(item)

    def _distance(self, index: TileIndex, centre: list[float]) -> float:
        place = self.mosaic.place(index)
        return sum((a + b - 2 * c) ** 2 for (a, b), c in zip(place, centre, strict=True))

    def _revoke_what_nobody_sees(self) -> None:
        """Free the slots of tiles that left the screen; the rest may keep them if nobody waits."""
        for item, urgent in list(self._running.items()):
            unseen = item not in self._on_screen
            in_the_way = urgent or bool(self._wanted) or self._rest is None
            if unseen and in_the_way and item not in self._revoked and self._backend:
                self._revoked.add(item)
                self._backend.revoke(*item)

    def _pump(self) -> None:
        while self._backend is not None and len(self._running) < SLOTS:
            urgent = bool(self._wanted)
            item = self._wanted.pop(0) if urgent else self._next_of_the_rest()
            if item is None:
                return
            self._running[item] = urgent
            self._backend.request(*item, urgent)

    def _next_of_the_rest(self) -> Item | None:
        if self._rest is None:
            return None
        if self._again:
            return self._again.pop()
        for item in self._rest:
            if item not in self._done and item not in self._running and item not in self._broken:
                return item
        self._rest = None
        return None

    def _all_items(self) -> Iterator[Item]:
        tiles = [
            (i, j) for i in range(len(self.layout.rows)) for j in range(len(self.layout.columns))
        ]
        return ((plane, tile) for plane in self.layout.planes for tile in tiles)


def _silent() -> None:
    pass
