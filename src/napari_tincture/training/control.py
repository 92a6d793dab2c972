"""How a training is paused, ended early and watched from outside; no torch here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tincture.errors import Cancelled
from napari_tincture.progress import CancelToken

if TYPE_CHECKING:
    from torch import nn

    from napari_tincture.training.loop import Trainer

PATIENCE = 0.1
"""Seconds after which a paused training looks whether it was cancelled."""


class Control:
    """Switches that any thread may turn, and that a training obeys between two steps."""

    def __init__(self) -> None:
        self._may_run = threading.Event()
        self._may_run.set()
        self._stopped = threading.Event()
        self._suspended = threading.Event()

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

    def suspend(self) -> None:
        """End the training after the current step with a checkpoint, but without a model.

        `Cancelled` is raised then, and the same training can be resumed.
        """
        self._suspended.set()
        self.stop()

    @property
    def paused(self) -> bool:
        """Whether the training is held."""
        return not self._may_run.is_set()

    @property
    def stopped(self) -> bool:
        """Whether the training was asked to end."""
        return self._stopped.is_set()

    @property
    def suspended(self) -> bool:
        """Whether the training was asked to end without a model."""
        return self._suspended.is_set()

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Take steps within this block: a suspended training ends well, images gone or not."""
        try:
            yield
        except Cancelled:
            if not self.suspended:
                raise

    def check(self) -> None:
        """Raise `Cancelled` if the training was suspended."""
        if self.suspended:
            raise Cancelled("The training was interrupted; resume it to go on.")

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
    on_begin
        Before the first step, with the trainer, where a checkpoint has brought it.
    on_step
        After every step, with the number of steps done and the losses by name.
    on_preview
        Every `preview_every` steps, with the number of steps done and all networks by name, the
        generators with averaged weights. It must not train them.
    """

    on_begin: Callable[[Trainer], None] | None = None
    on_step: Callable[[int, Mapping[str, float]], None] | None = None
    on_preview: Callable[[int, Mapping[str, nn.Module]], None] | None = None
    preview_every: int = 100

    def begin(self, trainer: Trainer) -> None:
        """Call what is due before the first step."""
        if self.on_begin is not None:
            self.on_begin(trainer)

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
