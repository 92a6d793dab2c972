"""napari's side of one live layer: requests go to the worker, its answers to the pyramid."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import TinctureError
from napari_tincture.raster import Raster
from napari_tincture.tiling.live import LivePyramid
from napari_tincture.tiling.live_layout import LiveLayout, Plane, TileIndex
from napari_tincture.worker.errors import rebuild_error
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.sources import describe_all, expand
from napari_tincture.worker.wire import Message

if TYPE_CHECKING:
    from napari_tincture.worker.session import Session

DEATHS = 2
"""Ends of the worker without a tile between them, after which no other is started."""


class LiveLink:
    """A live layer in the worker, through all lives of the worker; the backend of its pyramid.

    Parameters
    ----------
    number
        Counts the live layers of a client from 1.
    settings, sources
        As of a job.
    listener
        Called when the layer was opened (`pyramid` is there then) or refused (`error` is), in the
        session's thread.
    on_close
        Called once when the layer is closed.
    """

    def __init__(
        self,
        number: int,
        settings: JobSettings,
        sources: Sequence[Raster],
        listener: Callable[[LiveLink], None],
        on_close: Callable[[LiveLink], None],
    ) -> None:
        self.number, self.settings = number, settings
        self.sources, self.inputs = expand(sources), tuple(sources)
        self._listener, self._on_close = listener, on_close
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._deaths = 0
        self.pyramid: LivePyramid | None = None
        self.attributes: dict[str, Any] = {}
        self.error: TinctureError | None = None
        self.changed: Callable[[], None] = lambda: None
        self.closed = False

    @property
    def hopeful(self) -> bool:
        """Whether another worker may do better."""
        return not self.closed and self.error is None and self._deaths < DEATHS

    def open_in(self, session: Session) -> None:
        """Open the layer in a worker; it may not be ready yet."""
        with self._lock:
            self._session = session
        session.post(
            "live_open",
            live=self.number,
            settings=self.settings.to_json(),
            sources=describe_all(self.sources),
            inputs=list(range(len(self.inputs))),
        )

    def lose(self, reason: str) -> None:
        """Hear that the worker has ended."""
        with self._lock:
            self._session = None
            self._deaths += 1
        if self.pyramid is not None:
            self.pyramid.lose(reason)

    def refuse(self, error: TinctureError) -> None:
        """Hear that the layer cannot be."""
        self.error = error
        if self.pyramid is not None:
            self.pyramid.lose(str(error))
        self._listener(self)

    def receive(self, message: Message) -> None:
        """Take what the worker says about this layer."""
        if not self.closed:
            getattr(self, f"_on_{message.kind}")(message)

    def request(self, plane: Plane, index: TileIndex, urgent: bool) -> None:
        """Ask for a tile."""
        self._post("live_request", plane=plane, index=index, urgent=urgent)

    def revoke(self, plane: Plane, index: TileIndex) -> None:
        """Ask for a tile no longer."""
        self._post("live_revoke", plane=plane, index=index)

    def close(self) -> None:
        """Have the worker forget the layer; nothing is heard of it afterwards."""
        if self.closed:
            return
        self.closed = True
        self._post("live_close")
        self._session, self.sources, self.inputs = None, (), ()
        self._on_close(self)

    def _post(self, kind: str, **fields: Any) -> None:
        with self._lock:
            session = self._session
        if session is not None:
            session.post(kind, live=self.number, **fields)

    def _on_live_opened(self, message: Message) -> None:
        layout = LiveLayout.from_json(message["layout"])
        first = self.pyramid is None
        if self.pyramid is None:
            self.pyramid = LivePyramid(layout, self._tell)
            self.attributes = dict(message["attributes"])
        elif layout != self.pyramid.layout:
            self.refuse(_changed(self.settings.model))
            return
        self.pyramid.connect(self)
        if first:
            self._listener(self)

    def _on_live_refused(self, message: Message) -> None:
        self.refuse(rebuild_error(message))

    def _on_live_tile(self, message: Message) -> None:
        self._deaths = 0
        assert message.payload is not None
        plane, index = _item(message)
        level, seconds = message["level"], message["seconds"]
        self._known.arrived(plane, index, message.payload, level=level, seconds=seconds)

    def _on_live_dropped(self, message: Message) -> None:
        self._known.dropped(*_item(message))

    def _on_live_failed(self, message: Message) -> None:
        self._known.failed(*_item(message), message["problem"])

    def _on_live_know(self, message: Message) -> None:
        known = message["place"], message["values"], message["settled"]
        self._known.know(tuple(message["plane"]), *known)

    def _on_live_settle(self, message: Message) -> None:
        self._known.settle(tuple(message["plane"]), message["stale"])

    @property
    def _known(self) -> LivePyramid:
        assert self.pyramid is not None
        return self.pyramid

    def _tell(self) -> None:
        self.changed()


def _item(message: Message) -> tuple[Plane, TileIndex]:
    i, j = message["index"]
    return tuple(message["plane"]), (i, j)


def _changed(model: str) -> TinctureError:
    return TinctureError(
        f"The image or model {model!r} changed while the live layer was open: its tiles lie "
        "elsewhere now. Remove the layer and open it again."
    )
