"""Asking napari's process for pixels that only it can read."""

from __future__ import annotations

import itertools
import queue
import threading

import numpy as np

from napari_tincture.errors import Cancelled, ReadError
from napari_tincture.worker.sources import Fetch
from napari_tincture.worker.wire import Link, Message


class Windows:
    """Requests for windows that are on their way; any thread may ask.

    Parameters
    ----------
    link
        Connects to napari's process, whose answers are given to `deliver`.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Message | None]] = {}
        self._numbers = itertools.count()
        self._closed = False

    def fetcher(self, job: int, source: int) -> Fetch:
        """Return the function that reads windows of one source of one job."""

        def fetch(level: int, window: list[list[int]]) -> np.ndarray:
            return self._ask(job=job, source=source, level=level, window=window)

        return fetch

    def _ask(self, **fields: object) -> np.ndarray:
        answer: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        with self._lock:
            if self._closed:
                raise Cancelled("napari was closed.")
            number = next(self._numbers)
            self._waiting[number] = answer
        self._link.send(Message("read", {"number": number, **fields}))
        message = answer.get()
        if message is None:
            raise Cancelled("napari was closed.")
        if message.payload is None:
            raise ReadError(message["problem"])
        return message.payload

    def deliver(self, message: Message) -> None:
        """Hand an answer to the thread that waits for it."""
        with self._lock:
            answer = self._waiting.pop(message["number"])
        answer.put(message)

    def close(self) -> None:
        """Wake all who wait: there will be no answers."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting.values())
        for answer in waiting:
            answer.put(None)
