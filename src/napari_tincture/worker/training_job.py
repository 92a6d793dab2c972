"""A training as napari's process sees it: curves, figures, previews, and the model's path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from napari_tincture.raster import Raster
from napari_tincture.worker.jobs import Job, State
from napari_tincture.worker.sources import describe_all
from napari_tincture.worker.wire import Message

Curves = dict[str, list[tuple[int, float]]]
"""Points (step, value) by name."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A preview.

    Attributes
    ----------
    step
        After which it was made.
    view
        Number of the view that it is of.
    image
        (c, y, x).
    rgb, limits
        Whether the channels are red, green and blue, and the range of values.
    """

    step: int
    view: int
    image: np.ndarray
    rgb: bool
    limits: tuple[float, float]


@dataclass(eq=False, slots=True)
class TrainingJob(Job):
    """One training: read by any thread, changed by the client alone.

    Attributes
    ----------
    name
        Under which it is kept; known when it begins.
    recipe
        Complete, as JSON; known when it begins.
    losses, figures
        Curves of the losses, and of what validation gave.
    seconds
        Estimated time left; None while it is unknown.
    paused
        Whether it is held.
    shown
        The latest preview.
    path
        Of the finished model; empty before.
    """

    name: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    losses: Curves = field(default_factory=dict)
    figures: Curves = field(default_factory=dict)
    seconds: float | None = None
    paused: bool = False
    shown: Shown | None = None
    path: str = ""

    def model(self, timeout: float | None = None) -> str:
        """Wait for the path of the model; not for the GUI thread.

        Raises
        ------
        TinctureError
            What the training failed with; Cancelled if it ended without a model.
        TimeoutError
            If it has not ended after `timeout` seconds.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"Training {self.name} has not ended after {timeout} s.")
        if self.error is not None:
            raise self.error
        return self.path

    def order(self) -> tuple[str, dict[str, Any]]:
        """Kind and fields of the message that asks for it."""
        sources = describe_all(self.sources)
        return "train", {"settings": asdict(self.settings), "sources": sources}

    def source_number(self, raster: Raster) -> int:
        """Number of a source, which is added if it is new."""
        known = [number for number, own in enumerate(self.sources) if own is raster]
        if not known:
            self.sources = (*self.sources, raster)
        return known[0] if known else len(self.sources) - 1

    def _on_began(self, message: Message) -> None:
        self.name, self.recipe = message["name"], message["recipe"]
        self.done, self.total = message["step"], message["steps"]
        self.losses = {
            name: [(int(step), float(value)) for step, value in points]
            for name, points in message["curves"].items()
        }
        self.figures = {}
        for row in message["figures"]:
            _add(self.figures, int(row["step"]), _judged(row, self.losses))
        self.listener(self)

    def _on_step(self, message: Message) -> None:
        self.done, self.seconds = message["step"], message["seconds"]
        _add(self.losses, self.done, message["losses"])
        _add(self.figures, self.done, message["figures"])
        self.listener(self)

    def _on_preview(self, message: Message) -> None:
        assert message.payload is not None
        limits = (float(message["limits"][0]), float(message["limits"][1]))
        self.shown = Shown(
            message["step"], message["view"], message.payload, message["rgb"], limits
        )
        self.listener(self)

    def _on_paused(self, message: Message) -> None:
        self.paused = message["held"]
        self.listener(self)

    def _on_finishing(self, _: Message) -> None:
        self.detail = "measuring and saving the model"
        self.listener(self)

    def _on_finished(self, message: Message) -> None:
        facts = message["facts"]
        self.path, self.done = facts["path"], facts["steps"]
        figures = ", ".join(f"{name} {value:.3g}" for name, value in facts["figures"].items())
        self.summary = f"{self.done:,} steps. {figures}".replace("_", " ").rstrip()
        self.end(State.FINISHED)


def _add(curves: Curves, step: int, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        curves.setdefault(name, []).append((step, float(value)))


def _judged(row: Mapping[str, float], losses: Curves) -> dict[str, float]:
    """What validation gave, of a row that the losses are in, too."""
    return {k: v for k, v in row.items() if k != "step" and k not in losses}
