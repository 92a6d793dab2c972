"""One session that learns from what is painted: the viewer on one side, its process on the other.

1. Changes of the Labels layer mark blocks; a short timer sends those that differ.
2. Another short timer tells the process what is on screen.
3. Its news come through the hub; predictions go to the overlay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._strokes import StrokeSource
from napari_tincture.widgets._teach_layer import TeachClass
from napari_tincture.widgets._teach_overlay import Look, Overlay, look_at_screen
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.teach_settings import TeachSettings
from napari_tincture.worker.teaching_job import TeachingJob

_SEND, _LOOK = 150, 250
"""Milliseconds without a change after which strokes are sent, and the view is told."""
NETWORK: Mapping[str, Any] = {}
"""Options of what learns that differ from the usual."""
_MOVED = ("data", "scale", "translate", "rotate", "shear", "affine", "units")


class Lesson(QObject):
    """Teaches one image from one Labels layer, from its making until `end`.

    Parameters
    ----------
    viewer : napari.Viewer
        Shows both layers.
    image, strokes : napari layers
        What is painted on, and what is painted.
    raster
        The image, opened.
    classes
        Of which the process learns; others may be called differently later, see `recolour`.
    start
        Name or file of a model to begin with; empty: a new network.

    Raises
    ------
    TinctureError
        If layer and image do not fit, or classes are fewer than two.
    """

    changed = Signal()
    """There are news of the job, or of strokes."""

    def __init__(
        self, viewer: Any, hub: JobHub, image: Any, strokes: Any, raster: Raster,
        classes: Sequence[TeachClass], device: str = "auto", start: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        self._viewer, self._hub = viewer, hub
        self.image, self.strokes, self._raster = image, strokes, raster
        self.classes, self.start = tuple(classes), start
        settings = TeachSettings(
            classes=tuple(each.to_json() for each in classes), device=device, network=NETWORK,
            start=start,
        )  # fmt: skip
        self._source = self._open_strokes()
        self.overlay = Overlay(viewer, raster, strokes, classes)
        self.paused = False
        self.others: set[int] = set()
        self._ready, self._drawn = False, False
        self._look: Look | None = None
        self._painted_at: float | None = None
        self._awaited: tuple[int, float] | None = None
        self.lag: float | None = None
        self._later, self._looking = self._timer(_SEND, self._send), self._timer(_LOOK, self.look)
        self._heard: list[tuple[Any, Callable[..., None]]] = []
        self._listen()
        self.job: TeachingJob = hub.teach(viewer, settings, raster)

    @property
    def alive(self) -> bool:
        """Whether the process still learns, or can."""
        return not self.job.state.final

    @property
    def waiting(self) -> float | None:
        """Seconds since the stroke that no prediction has learned of yet; None if there is none."""
        began = self._painted_at or (self._awaited and self._awaited[1])
        return None if not began else time.monotonic() - began

    def pause(self, *, held: bool) -> None:
        """Hold the session, or let it go on."""
        self.paused = held
        self._hub.teacher.learn(self.job, on=not held)
        self.changed.emit()

    def keep(self, name: str, classes: Sequence[TeachClass]) -> None:
        """Have the model saved to the user's library."""
        self._hub.teacher.keep(self.job, name, [each.to_json() for each in classes])

    def end(self) -> None:
        """Let the process go; strokes and the last prediction stay."""
        for emitter, callback in self._heard:
            emitter.disconnect(callback)
        self._heard = []
        for timer in (self._later, self._looking):
            timer.stop()
        if self.alive:
            self._hub.teacher.cancel(self.job)

    def look(self) -> None:
        """Tell the process what is on screen."""
        if not self._ready or not self.alive:
            return
        try:
            look = look_at_screen(self._viewer, self.image, self._raster)
        except InputError:
            return  # nothing of it is on screen; the last prediction stays
        if look == self._look:
            return
        self._look = look
        number = self._hub.teacher.look(self.job, look.plane, look.y, look.x)
        self.overlay.expect(number, look)

    def hear(self, job: Job) -> None:
        """Take news of the session."""
        if job is not self.job:
            return
        if self.job.begun and not self._ready and self.alive:
            self._ready = True
            self._source.look_over()
            self._send()
            self.look()
        pieces = [self.job.pieces.popleft() for _ in range(len(self.job.pieces))]
        if pieces and self._heard:
            self.overlay.show(pieces)
            if self._awaited is not None and pieces[-1].stroke >= self._awaited[0]:
                self.lag = time.monotonic() - self._awaited[1]
                self._awaited = None
        self.changed.emit()

    def _send(self) -> None:
        if not self._ready or not self.alive:
            return
        if self._drawn and (plane := self._shown_plane()) is not None:
            self._source.look_again()
            self._source.look_over(plane)
        began, self._painted_at, self._drawn = self._painted_at, None, False
        values = np.array([each.value for each in self.classes])
        for patch in self._source.take():
            number = self._hub.teacher.paint(self.job, patch.y, patch.x, patch.labels, patch.plane)
            self._awaited = number, began or time.monotonic()
            self.others |= {int(v) for v in np.setdiff1d(patch.labels, [0, *values])}
        self.changed.emit()

    def _listen(self) -> None:
        events, viewer = self.strokes.events, self._viewer
        scene = viewer.scene if hasattr(viewer, "scene") else viewer
        self._hear(events.paint, self._on_paint)
        self._hear(events.set_data, self._on_drawn)
        for name in _MOVED:
            self._hear(getattr(events, name), self._on_moved)
        dims, camera = viewer.dims.events, scene.camera.events
        for emitter in (dims.current_step, dims.ndisplay, dims.order, camera.zoom, camera.center):
            self._hear(emitter, self._on_view)
        self._hear(viewer.layers.events.removed, self._on_removed)

    def _hear(self, emitter: Any, callback: Callable[..., None]) -> None:
        emitter.connect(callback)
        self._heard.append((emitter, callback))

    def _on_paint(self, event: Any) -> None:
        self._painted_at = self._painted_at or time.monotonic()
        for atom in event.value:
            self._source.mark(_box(atom, self._letters))
        self._later.start()

    def _on_drawn(self, _: Any) -> None:
        """Undo, and what scripts write into the layer's data, tell of nothing else."""
        self._drawn = True
        self._later.start()

    def _on_moved(self, _: Any) -> None:
        try:
            source = self._open_strokes()
        except TinctureError as error:
            self.job.trouble = str(error)
            self.changed.emit()
            return
        source.follow(self._source)
        self._source = source
        self._later.start()

    def _on_view(self, _: Any) -> None:
        self._looking.start()

    def _on_removed(self, event: Any) -> None:
        if event.value in (self.image, self.strokes):
            self.end()
            self.changed.emit()

    def _shown_plane(self) -> tuple[int, ...] | None:
        try:
            return look_at_screen(self._viewer, self.image, self._raster).plane
        except InputError:
            return None

    def _open_strokes(self) -> StrokeSource:
        letters = (self._raster.order or self._raster.axes).replace("c", "")
        axes = letters if self.strokes.ndim == len(letters) else None
        labels = open_image(self.strokes, axes=axes)
        self._letters = labels.order or labels.axes
        return StrokeSource(labels, self._raster)

    def _timer(self, pause: int, what: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(pause)
        timer.timeout.connect(what)
        return timer


def _box(atom: Any, letters: str) -> Mapping[str, tuple[int, int]]:
    """Where an edit of napari's history lies: a box, or before 0.9 indices of pixels."""
    if hasattr(atom, "slice_key"):
        return {
            a: (int(s.start), int(s.stop)) for a, s in zip(letters, atom.slice_key, strict=True)
        }
    return {a: (int(np.min(i)), int(np.max(i)) + 1) for a, i in zip(letters, atom[0], strict=True)}
