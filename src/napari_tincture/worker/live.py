"""The worker's side of live layers: tiles are computed beside jobs, which wait for them.

1. The reader thread hands over what concerns live layers; nothing waits there.
2. A thread of each layer opens the image and the model, then serves its tiles.
3. While a tile on screen is wanted, the running job pauses where it looks whether it is cancelled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tincture.errors import Cancelled
from napari_tincture.io.provenance import plain
from napari_tincture.progress import CancelToken
from napari_tincture.worker.errors import describe_error
from napari_tincture.worker.wire import Link, Message

if TYPE_CHECKING:
    from napari_tincture.tiling.live_layout import Plane, TileIndex
    from napari_tincture.tiling.serve import TileServer
    from napari_tincture.worker.work import Workbench

Answer = Callable[..., None]


class LiveDesk:
    """All live layers of a worker.

    Parameters
    ----------
    link
        Connects to napari's process.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._seats: dict[int, _Seat] = {}
        self._leaving: list[_Seat] = []
        self._bench: Workbench | None = None
        self._changed = threading.Condition()
        self._busy: set[int] = set()
        self._closed = False

    def begin(self, bench: Workbench) -> None:
        """Have a bench, on which layers that were asked for can be opened."""
        with self._changed:
            self._bench = bench
            self._changed.notify_all()

    def take(self, message: Message) -> None:
        """Take a message that concerns a live layer; never waits."""
        number = message["live"]
        if message.kind == "live_open":
            self._seats[number] = _Seat(self, self._link, number, message)
        elif (seat := self._seats.get(number)) is not None:
            if message.kind == "live_close":
                del self._seats[number]
                seat.close()
                self._leaving = [s for s in self._leaving if s.alive] + [seat]
            else:
                seat.take(message)

    def bench(self) -> Workbench:
        """Wait for the bench.

        Raises
        ------
        Cancelled
            If napari was closed first.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._bench is not None or self._closed)
            if self._bench is None or self._closed:
                raise Cancelled("napari was closed.")
            return self._bench

    def set_busy(self, number: int, busy: bool) -> None:
        """Hear whether a layer has something urgent to do."""
        with self._changed:
            (self._busy.add if busy else self._busy.discard)(number)
            self._changed.notify_all()

    def wait_until_idle(self, given_up: Callable[[], bool]) -> None:
        """Wait while tiles on screen are wanted, unless the caller is `given_up`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy or self._closed or given_up())

    def wake(self) -> None:
        """Let who waits look again whether it was given up."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End all layers, without waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for seat in list(self._seats.values()):
            seat.close()

    def join(self) -> None:
        """Wait until no layer computes any more."""
        for seat in [*self._seats.values(), *self._leaving]:
            seat.join()


class PausingToken(CancelToken):
    """A job's token: where the job looks at it, it lets live tiles go first."""

    def __init__(self, desk: LiveDesk) -> None:
        super().__init__()
        self._desk = desk

    def cancel(self) -> None:
        """Ask the job to stop, also where it waits."""
        super().cancel()
        self._desk.wake()

    def check(self) -> None:
        """Wait while tiles on screen are wanted; raise `Cancelled` if asked to stop."""
        self._desk.wait_until_idle(lambda: self.cancelled)
        super().check()


class _Seat:
    """One live layer: keeps requests until it is open, then hands them to its server."""

    def __init__(self, desk: LiveDesk, link: Link, number: int, message: Message) -> None:
        self._desk, self._link, self._number = desk, link, number
        self._lock = threading.Lock()
        self._early: list[Message] = []
        self._server: TileServer | None = None
        self._closed = False
        self._thread = threading.Thread(
            target=self._open, args=(message,), name="tincture-live-open"
        )
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether a thread of this layer still runs."""
        return self._thread.is_alive() or (self._server is not None and self._server.alive)

    def take(self, message: Message) -> None:
        """Pass on a request."""
        with self._lock:
            if self._server is None:
                self._early.append(message)
                return
        self._pass_on(message)

    def close(self) -> None:
        """Compute nothing any more."""
        with self._lock:
            self._closed = True
            server = self._server
        if server is not None:
            server.close()
        self._desk.set_busy(self._number, False)

    def join(self) -> None:
        """Wait for the threads of this layer."""
        self._thread.join()
        if self._server is not None:
            self._server.join()

    def _open(self, message: Message) -> None:
        try:
            self._try_to_open(message)
        except Cancelled:
            return
        except OSError:
            return  # napari's process is gone, nobody is left to tell
        except Exception as error:  # noqa: BLE001 - whatever it is, is told in napari
            self._send("live_refused", None, **describe_error(error))

    def _try_to_open(self, message: Message) -> None:
        bench = self._desk.bench()
        from napari_tincture.tiling.live_job import live_job, remember
        from napari_tincture.tiling.serve import TileServer
        from napari_tincture.worker.sources import attributes

        result = bench.prepare(-self._number, message.fields)
        live = live_job(result)
        remember(live)
        self._send("live_opened", attributes=attributes(result), layout=live.layout.to_json())
        server = TileServer(live.job, live.maps, live.layout, self, self._set_busy)
        with self._lock:
            self._server = server
            if self._closed:
                return
            server.start()
            for early in self._early:
                self._pass_on(early)

    def _pass_on(self, message: Message) -> None:
        assert self._server is not None
        i, j = message["index"]
        plane, index = tuple(message["plane"]), (i, j)
        if message.kind == "live_request":
            self._server.request(plane, index, message["urgent"])
        else:
            self._server.revoke(plane, index)

    def _set_busy(self, busy: bool) -> None:
        self._desk.set_busy(self._number, busy and not self._closed)

    def arrived(
        self,
        plane: Plane,
        index: TileIndex,
        block: np.ndarray,
        *,
        level: int = 0,
        seconds: float | None = None,
    ) -> None:
        """Send a tile."""
        self._tell("live_tile", plane, block, index=index, level=level, seconds=seconds)

    def dropped(self, plane: Plane, index: TileIndex) -> None:
        """Say that a tile was not computed."""
        self._tell("live_dropped", plane, index=index)

    def failed(self, plane: Plane, index: TileIndex, problem: str) -> None:
        """Say that a tile cannot be computed."""
        self._tell("live_failed", plane, index=index, problem=problem)

    def know(self, plane: Plane, place: str, values: Mapping[str, Any], settled: bool) -> None:
        """Say what a plane's tiles take from the whole image."""
        self._tell("live_know", plane, place=place, values=plain(values), settled=settled)

    def settle(self, plane: Plane, stale: bool) -> None:
        """Say that a plane's values are final."""
        self._tell("live_settle", plane, stale=stale)

    def _tell(self, kind: str, plane: Plane, payload: np.ndarray | None = None, **f: Any) -> None:
        if not self._closed:
            self._send(kind, payload, plane=plane, **f)

    def _send(self, kind: str, payload: np.ndarray | None = None, **fields: Any) -> None:
        try:
            self._link.send(Message(kind, {"live": self._number, **fields}, payload))
        except OSError:
            self.close()  # napari's process is gone
