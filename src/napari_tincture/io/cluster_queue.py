"""Tasks on the workers of a `distributed` cluster, a few per worker at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from napari_tincture.errors import WorkerError
from napari_tincture.progress import CancelToken

_LOOK_EVERY = 0.25
"""Seconds after which a waiting run looks whether it was cancelled."""


class TaskQueue:
    """Tasks on their way; iterating gives each with its result, and ends when none is left.

    Parameters
    ----------
    client
        Of the cluster. A lost worker's tasks are done again by others.
    call
        First arguments of every task.
    cancel
        Looked at while waiting.

    Raises
    ------
    Cancelled
        While iterating, if `cancel` was raised.
    WorkerError
        While iterating, if a task ended several workers one after the other.
    """

    def __init__(self, client: Any, call: tuple[Any, ...], cancel: CancelToken) -> None:
        self._client, self._call, self._cancel = client, call, cancel
        self.workers = max(len(client.scheduler_info(n_workers=-1)["workers"]), 2)
        self._waiting: deque[tuple[Callable[..., Any], Any]] = deque()
        self._running: dict[Any, Any] = {}

    def put(self, function: Callable[..., Any], task: Any) -> None:
        """Add a task, which is what `function` takes after the first arguments."""
        self._waiting.append((function, task))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        from distributed import wait

        try:
            while self._waiting or self._running:
                self._cancel.check()
                # The scheduler need not know of ten thousand tasks to keep its workers busy.
                while self._waiting and len(self._running) < 4 * self.workers:
                    function, task = self._waiting.popleft()
                    future = self._client.submit(function, *self._call, task, pure=False)
                    self._running[future] = task
                try:
                    with self._client.as_current():
                        done = wait(list(self._running), _LOOK_EVERY, "FIRST_COMPLETED").done
                except TimeoutError:
                    continue
                for future in done:
                    yield self._running.pop(future), _result(future)
        finally:
            self._client.cancel(list(self._running))


def _result(future: Any) -> Any:
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise WorkerError(
            f"A part of the image ended several workers of the cluster one after the other: "
            f"{error}. Probably their memory did not suffice: give them more, or pass a smaller "
            "tile=. What is finished is kept, and the same call continues."
        ) from error
