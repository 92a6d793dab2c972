"""A thread that does one thing after the other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Lane:
    """Actions that are done in order, in a thread of that name, until the connection breaks."""

    def __init__(self, name: str) -> None:
        self._actions: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        """Begin with what was put, and go on."""
        self._thread.start()

    def put(self, action: Callable[[], None]) -> None:
        """Have something done, after all that was put before."""
        self._actions.put(action)

    def close(self) -> None:
        """Wait until all of it is done."""
        self._actions.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        for action in iter(self._actions.get, None):
            try:
                action()
            except OSError:
                return  # the worker is gone: the session's thread has noticed, too
