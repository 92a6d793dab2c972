"""How a training is paused, ended early and watched from outside; no torch here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tincture.progress import CancelToken

if TYPE_CHECKING:
    from torch import nn

PATIENCE = 0.1
"""Seconds after which a paused training looks whether it was cancelled."""


class Control:
    """Switches that any thread may turn, and that a training obeys between two steps."""

    def __init__(self) -> None:
        self._may_run = threading.Event()
        self._may_run.set()
        self._stopped = threading.Event()

    def pause(self) -> None:
        """Hold the training after the current step."""
        self._may_run.clear()

    def resume(self) -> None:
        """Let a paused training go on."""
        self._may_run.set()

    def stop(self) -> None:
        """End the training after the current step, paused or not, and keep what was learned."""
        self._stopped.set()
        self._may_run.set()

    @property
    def paused(self) -> bool:
        """Whether the training is held."""
        return not self._may_run.is_set()

    @property
    def stopped(self) -> bool:
        """Whether the training was asked to end."""
        return self._stopped.is_set()

    def wait(self, cancel: CancelToken | None = None) -> None:
        """Return when the training may go on, was stopped, or was cancelled."""
        while not self._may_run.wait(PATIENCE):
            if cancel is not None and cancel.cancelled:
                return


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is called while a training runs, in its thread.

    Attributes
    ----------
    on_step
        After every step, with the number of steps done and the losses by name.
    on_preview
        Every `preview_every` steps, with the number of steps done and all networks by name, the
        generators with averaged weights. It must not train them.
    """

    on_step: Callable[[int, Mapping[str, float]], None] | None = None
    on_preview: Callable[[int, Mapping[str, nn.Module]], None] | None = None
    preview_every: int = 100

    def after_step(
        self,
        step: int,
        losses: Mapping[str, float],
        networks: Callable[[], Mapping[str, nn.Module]],
    ) -> None:
        """Call what is due; `networks` gives them ready for inference."""
        if self.on_step is not None:
            self.on_step(step, losses)
        if self.on_preview is not None and step % self.preview_every == 0:
            self.on_preview(step, networks())
