"""Preparing what comes next while the present is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Self, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_END: Any = object()


class Ahead(Generic[K, V]):
    """Items and what `read` gives for each, in order, read in a thread that ends with the block.

    Parameters
    ----------
    read
        Called with one item after the other, in the thread; what it raises comes out here.
    items
        At most `depth` + 1 of them are read before they are asked for.
    name
        Of the thread.
    """

    def __init__(
        self, read: Callable[[K], V], items: Iterable[K], name: str, depth: int = 2
    ) -> None:
        self._read, self._items = read, items
        self._ready: queue.Queue[Any] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            _drain(self._ready)
            self._thread.join(timeout=0.01)

    def __iter__(self) -> Iterator[tuple[K, V]]:
        while True:
            found = self._ready.get()
            if found is _END:
                return
            if isinstance(found, BaseException):
                raise found
            yield found

    def _run(self) -> None:
        try:
            for item in self._items:
                if self._stop.is_set():
                    return
                self._ready.put((item, self._read(item)))
            self._ready.put(_END)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that reads the queue
            self._ready.put(error)


def _drain(waiting: queue.Queue[Any]) -> None:
    try:
        while True:
            waiting.get_nowait()
    except queue.Empty:
        return
