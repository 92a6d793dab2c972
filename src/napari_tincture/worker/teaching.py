"""What the worker does while somebody paints: short updates, each shown where they look.

1. Messages are taken between steps: strokes, what is on screen, pause, and what is to be kept.
2. An update is some steps, or a few seconds; then come figures and the prediction of the view.
3. It goes on until the loss no longer falls, or enough was learned of the latest stroke.
4. What a stroke can mend, such as a single painted class, is told and waited for.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.device import resolve_device
from napari_tincture.errors import Cancelled, InputError, TinctureError, TrainingError
from napari_tincture.models.model import Model
from napari_tincture.models.shipped import unused_path
from napari_tincture.raster import Raster
from napari_tincture.training.labels.interactive import MORE, Session
from napari_tincture.worker.inbox import Inbox
from napari_tincture.worker.teach_settings import TeachSettings
from napari_tincture.worker.wire import Message

Send = Callable[..., None]
"""Tells napari's process: a kind, perhaps an array, and fields."""
FIRST_SECONDS, SECONDS = 12.0, 4.0
"""After which the first update, and further ones, are shown, however slow the machine is."""
LEAST = 5
"""Steps of every update."""
ENOUGH = 400
"""Steps since the latest stroke after which it rests."""
FALLING = 0.97
"""Part of the loss before that it must be at most, or it no longer falls."""
PIECE = 512
"""Side in pixels of what is shown at once of a view."""


def teach_for_panel(settings: TeachSettings, image: Raster, inbox: Inbox, send: Send) -> None:
    """Learn until told to end.

    Raises
    ------
    InputError
        If the image cannot be read, or does not fit the model to begin with.
    ModelError
        If there is no such model.
    TrainingError
        If the loss is no number.
    Cancelled
        When it is told to end.
    """
    session = Session(
        image,
        settings.classes,
        device=str(resolve_device(settings.device)),
        seed=settings.seed,
        network=settings.network,
        start=settings.start,
    )
    send("began")
    Teaching(session, [each["value"] for each in settings.classes], inbox, send).run()


class Teaching:
    """A session, and what is asked of it.

    Parameters
    ----------
    values
        Of the classes in label images, in their order.
    clock
        Seconds.
    """

    def __init__(
        self, session: Session, values: list[int], inbox: Inbox, send: Send,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._session, self._inbox, self._send, self._clock = session, inbox, send, clock
        self._values = np.array(values, np.min_scalar_type(max(values)))
        self._on, self._due = True, False
        self._stroke, self._fresh = 0, False
        self._losses: list[float] = []
        self._view: Mapping[str, Any] | None = None
        self._shown: tuple[int, int] | None = None
        self._begun, self._taken = 0.0, 0

    def run(self) -> None:
        """Serve until the inbox says that it is over."""
        while True:
            self._open(wait=not (self._on and self._due) and not self._unseen)
            if self._on and self._due and not self._tried(self._update):
                self._due = False  # another stroke may mend it
            if not self._tried(self._show):
                self._shown = self._wanted  # another look at it may do

    @property
    def _unseen(self) -> bool:
        """Whether something is to be shown that was not."""
        wanted = self._view is not None and (self._session.steps, self._view["number"])
        return bool(wanted) and self._session.steps > 0 and wanted != self._shown

    def _tried(self, what: Callable[[], None]) -> bool:
        """Do something, and tell what is wrong with it where the session can go on."""
        try:
            what()
        except (Cancelled, TrainingError):
            raise
        except TinctureError as error:
            self._send("trouble", message=str(error))
            return False
        return True

    @property
    def _wanted(self) -> tuple[int, int] | None:
        return None if self._view is None else (self._session.steps, self._view["number"])

    def _update(self) -> None:
        self._begun, self._taken, self._fresh = self._clock(), 0, False
        first = self._session.steps == 0
        figures = self._session.learn(
            until=lambda _, loss: self._between(loss, first), cancel=self._inbox
        )
        self._due = self._due and not self._settled()
        stroke = self._stroke
        self._send("update", **figures, stroke=stroke, resting=not (self._on and self._due))

    def _between(self, loss: float, first: bool) -> bool:
        """Take what has come, and tell whether the update has lasted long enough."""
        self._losses.append(loss)
        self._taken += 1
        before = self._view
        self._open()
        if self._view is not before and not first:
            self._show()
        if self._fresh and self._taken >= LEAST:
            # A new stroke has its time once; who goes on painting still sees something.
            self._begun, self._fresh = self._clock(), False
        late = self._clock() - self._begun > (FIRST_SECONDS if first else SECONDS)
        return not self._on or (late and self._taken >= LEAST)

    def _settled(self) -> bool:
        losses, span = self._losses, 2 * MORE
        if len(losses) < 2 * span:
            return False
        now, before = np.mean(losses[-span:]), np.mean(losses[-2 * span : -span])
        return len(losses) >= ENOUGH or bool(now > FALLING * before)

    def _open(self, *, wait: bool = False) -> None:
        for message in self._inbox.opened(wait=wait):
            self._tried(partial(getattr(self, f"_on_{message['what']}"), message))

    def _on_paint(self, message: Message) -> None:
        assert message.payload is not None
        plane = tuple(message["plane"])
        self._session.paint(message["y"], message["x"], message.payload, plane=plane)
        self._stroke = message["number"]
        self._begin_anew()
        painted = self._session.strokes.pixels.tolist()
        self._send("painted", pixels=painted, stroke=self._stroke)

    def _on_look(self, message: Message) -> None:
        self._view = message["view"]

    def _on_learn(self, message: Message) -> None:
        self._on = message["on"]
        if self._on:
            self._begin_anew()

    def _on_keep(self, message: Message) -> None:
        """Save the model, with the classes as people call them now."""
        path = unused_path(message["name"])
        try:
            if not self._session.steps:
                raise InputError("Nothing is learned yet; wait for the first prediction.")
            path.parent.mkdir(parents=True, exist_ok=True)
            _called(self._session.model(path.stem), message["classes"]).save(path)
        except (TinctureError, OSError) as error:
            self._send("warning", message=f"The model could not be kept: {error}")
        else:
            self._send("kept", name=path.stem)

    def _begin_anew(self) -> None:
        self._due = self._fresh = True
        self._losses = []

    def _show(self) -> None:
        """Predict what is looked at, its middle first; a new stroke goes before the rest."""
        view = self._view
        if view is None or not self._unseen:
            return
        wanted = self._wanted
        for y, x in pieces(view["y"], view["x"]):
            maps = self._session.predict(y, x, plane=tuple(view["plane"]))
            place = {"y": y.start - view["y"][0], "x": x.start - view["x"][0]}
            found: NDArray[Any] = self._values[maps.argmax(axis=0)]
            self._send("seen", found, view=view["number"], stroke=self._stroke, **place)
            known = self._stroke
            self._open()
            if self._view is not view or self._stroke != known:
                return
        self._shown = wanted


def pieces(y: tuple[int, int], x: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Cut a window into pieces of equal size at most `PIECE` pixels wide and high.

    The nearer to its middle, the earlier.
    """
    rows, columns = _cuts(*y), _cuts(*x)

    def off(piece: tuple[slice, slice]) -> float:
        ends = zip(piece, (y, x), strict=True)
        return float(sum((s.start + s.stop - a - b) ** 2 for s, (a, b) in ends))

    yield from sorted(((row, column) for row in rows for column in columns), key=off)


def _cuts(start: int, stop: int) -> list[slice]:
    count = -(-(stop - start) // PIECE)
    edges = np.linspace(start, stop, count + 1).round().astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(edges)]


def _called(model: Model, classes: list[Mapping[str, Any]]) -> Model:
    known = {each["value"]: each for each in classes}
    outputs = tuple(
        dataclasses.replace(
            channel, name=(one := known[channel.value])["name"], colour=one["colour"],
            description=f"Probability of {one['name']}",
        )
        if channel.value in known else channel
        for channel in model.card.outputs
    )  # fmt: skip
    about = f"{', '.join(each.name for each in outputs)}; learned from strokes."
    return model.with_card(model.card.replace(outputs=outputs, description=about))
