"""A session that learns while somebody paints, as napari's process sees it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_tincture.worker.jobs import Job
from napari_tincture.worker.sources import describe_all
from napari_tincture.worker.wire import Message


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of the prediction of a view.

    Attributes
    ----------
    view
        Number of the view.
    stroke
        Number of the latest stroke that was learned from.
    y, x
        First pixel, within the view.
    labels
        (y, x), values of classes.
    """

    view: int
    stroke: int
    y: int
    x: int
    labels: np.ndarray


@dataclass(eq=False, slots=True)
class TeachingJob(Job):
    """One session: read by any thread, changed by the client alone.

    Attributes
    ----------
    begun
        Whether the image is open, so that strokes are taken; there are none yet.
    pixels
        Painted ones of each class, in their order.
    stroke
        Number of the latest stroke of which the latest update has learned.
    steps
        Learned so far.
    loss, mean_iou, constant
        Of the latest update, on the strokes; `constant` is the mean IoU of the best single class.
        None before.
    resting
        Whether it waits for a stroke: nothing more is to be learned of those there are.
    trouble
        What keeps it from learning, until another stroke; else empty.
    kept
        Names of the models that were saved, in their order.
    pieces
        Of predictions; who shows them takes them out.
    """

    begun: bool = False
    pixels: tuple[int, ...] = ()
    stroke: int = 0
    steps: int = 0
    loss: float | None = None
    mean_iou: float | None = None
    constant: float | None = None
    resting: bool = True
    trouble: str = ""
    kept: list[str] = field(default_factory=list)
    pieces: deque[Piece] = field(default_factory=deque)

    def order(self) -> tuple[str, dict[str, Any]]:
        """Kind and fields of the message that asks for it."""
        settings, sources = self.settings.to_json(), describe_all(self.sources)
        return "teach", {"settings": settings, "sources": sources}

    def _on_began(self, _: Message) -> None:
        self.begun = True
        self.listener(self)

    def _on_painted(self, message: Message) -> None:
        self.pixels, self.trouble = tuple(message["pixels"]), ""
        self.resting = False
        self.listener(self)

    def _on_update(self, message: Message) -> None:
        self.steps, self.stroke = int(message["steps"]), message["stroke"]
        self.loss, self.mean_iou = message["loss"], message["mean_iou"]
        self.constant, self.resting = message["constant"], message["resting"]
        self.trouble = ""
        self.listener(self)

    def _on_seen(self, message: Message) -> None:
        assert message.payload is not None
        place = message["y"], message["x"]
        self.pieces.append(Piece(message["view"], message["stroke"], *place, message.payload))
        self.listener(self)

    def _on_trouble(self, message: Message) -> None:
        self.trouble, self.resting = message["message"], True
        self.listener(self)

    def _on_kept(self, message: Message) -> None:
        self.kept.append(message["name"])
        self.listener(self)
