"""What napari's process asks of a session that learns while somebody paints; no torch here."""

from __future__ import annotations

import queue
from contextlib import suppress

from napari_tincture.progress import CancelToken
from napari_tincture.worker.wire import Message


class Inbox(CancelToken):
    """Messages that wait for the session; stands where jobs have a `CancelToken`.

    The thread that receives puts them in, the one that learns takes them out between steps.
    """

    def __init__(self) -> None:
        super().__init__()
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def take(self, message: Message) -> None:
        """Keep a message until it is wanted."""
        self._messages.put(message)

    def cancel(self) -> None:
        """End the session after its step; wakes who waits."""
        super().cancel()
        self._messages.put(None)

    def opened(self, *, wait: bool = False) -> list[Message]:
        """Messages that have come since, in their order.

        Parameters
        ----------
        wait
            Whether to wait until there is one.

        Raises
        ------
        Cancelled
            If the session is to end.
        """
        self.check()
        found = [self._messages.get()] if wait else []
        with suppress(queue.Empty):
            while True:
                found.append(self._messages.get_nowait())
        self.check()
        return [message for message in found if message is not None]
