"""Work in a thread of this process, of which the GUI thread hears.

1. `start` gives the work a token and a number; what ran before is cancelled, and no longer heard.
2. News goes through queued signals, progress at most once at a time.
3. The thread is no daemon: it ends at its next look at the token, also where the window is gone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]

from napari_tincture.errors import Cancelled, TinctureError
from napari_tincture.progress import CancelToken, Progress

Work = Callable[[Progress, CancelToken], Any]
_LOGGER = logging.getLogger("napari_tincture")


class Background(QObject):
    """One piece of work at a time; lives on the GUI thread.

    Parameters
    ----------
    name
        Of its threads.
    """

    progressed = Signal(object, object)
    """Steps done, and all."""
    finished = Signal(object)
    """What the work gave."""
    failed = Signal(object)
    """The exception that it raised; `Cancelled`, too."""
    _told = Signal(int)
    _ended = Signal(int, object, object)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._number = 0
        self._token = CancelToken()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._latest: tuple[int, int] | None = None
        self.running = False
        self._told.connect(self._on_told, Qt.ConnectionType.QueuedConnection)
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)

    @property
    def alive(self) -> bool:
        """Whether its latest thread still runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, work: Work) -> None:
        """Begin; what is under way is given up."""
        self.drop()
        self._token, self.running = CancelToken(), True
        arguments = (work, self._number, self._token)
        self._thread = threading.Thread(target=self._run, args=arguments, name=self._name)
        self._thread.start()

    def cancel(self) -> None:
        """Ask the work to stop; `failed` tells when it has."""
        self._token.cancel()

    def drop(self, *_: Any) -> None:
        """Ask the work to stop, and hear no more of it."""
        self._token.cancel()
        self._number += 1
        self.running = False

    def _run(self, work: Work, number: int, token: CancelToken) -> None:
        def progress(done: int, total: int) -> None:
            token.check()
            with self._lock:
                waiting, self._latest = self._latest is not None, (done, total)
            if not waiting:
                self._emit(self._told, number)

        result: Any = None
        error: Exception | None = None
        try:
            result = work(progress, token)
            token.check()
        except Exception as caught:
            error = caught
            if not isinstance(caught, TinctureError):
                _LOGGER.exception("%s failed", self._name)
        self._emit(self._ended, number, result, error)

    def _emit(self, signal: Any, *arguments: Any) -> None:
        with suppress(RuntimeError):  # the Qt object may be gone at the end of the program
            signal.emit(*arguments)

    def _on_told(self, number: int) -> None:
        with self._lock:
            latest, self._latest = self._latest, None
        if number == self._number and latest is not None:
            self.progressed.emit(*latest)

    def _on_ended(self, number: int, result: Any, error: Exception | None) -> None:
        if number != self._number:
            return
        self.running = False
        if error is None:
            self.finished.emit(result)
        else:
            self.failed.emit(error)


def was_cancelled(error: Exception) -> bool:
    """Whether the user wanted it."""
    return isinstance(error, Cancelled)


def in_panel(error: Exception | str) -> str:
    """What a panel says of an error: of fields and buttons, not of arguments."""
    return str(getattr(error, "panel", "") or error)
