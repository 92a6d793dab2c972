"""How napari's process steers a training in the worker; no torch here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from napari_tincture.errors import Cancelled
from napari_tincture.progress import CancelToken
from napari_tincture.training.control import Control
from napari_tincture.worker.wire import Message

PATIENCE = 1.0
"""Seconds after which it should be known why images cannot be read any more."""


class Steering(Control):
    """Switches of one training, turned by messages; stands where jobs have a `CancelToken`.

    Attributes
    ----------
    view
        What the panel looks at: "number", "region" and "source".
    tell_paused
        Called in the training's thread when it is held, and when it goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tell_paused: Callable[[bool], None] = lambda _: None
        self.view: Mapping[str, Any] | None = None

    def take(self, message: Message) -> None:
        """Obey."""
        if message["what"] == "look":
            self.view = message["view"]
        else:
            getattr(self, message["what"])()

    def cancel(self) -> None:
        """End after the current step; the training can be resumed."""
        self.suspend()

    @contextmanager
    def steps(self) -> Iterator[None]:
        """End well also where napari is gone, which images tell before anyone else may."""
        try:
            yield
        except (Cancelled, ConnectionError):
            if not self._suspended.wait(PATIENCE):
                raise

    def wait(self, cancel: CancelToken | None = None) -> None:
        """Hold the training while it is paused, and say so."""
        if not self.paused:
            return
        self.tell_paused(True)
        super().wait(cancel)
        self.tell_paused(False)
