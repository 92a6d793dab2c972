"""Paint and train: the part of the Segment panel that makes a model from strokes.

1. A Labels layer is chosen or made, and its classes are listed.
2. Train begins a session for it; strokes and what is on screen go to its process by themselves.
3. Keep saves the model, and the panel goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QInputDialog, QPushButton, QVBoxLayout, QWidget

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.raster import Raster
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._form import Choice, Folding, Item, Level, Message, form, row
from napari_tincture.widgets._gone import when_gone
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._lesson import Lesson
from napari_tincture.widgets._number_keys import NumberKeys
from napari_tincture.widgets._teach_classes import ClassList
from napari_tincture.widgets._teach_layer import (
    labels_names,
    new_labels,
    read_classes,
    select,
    write_classes,
)
from napari_tincture.widgets._teach_status import status_of
from napari_tincture.worker.jobs import Job

_TICK = 500
"""Milliseconds between looks at the clock while a stroke waits."""
_NEW = Item("a new network", "", "Small and quick; it knows nothing yet")
ImageOf = Callable[[], tuple[Any, Raster]]
"""Gives the layer that the panel works on, and the raster of it; raises InputError."""


class Teach(Folding):
    """A folded section: labels, classes, Train, Pause, Keep, and how it gets on.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the layers of strokes and of predictions.
    image_of
        What is painted on.
    device_of
        Gives the device to learn on.
    """

    kept = Signal(str)
    """A model of this name has come into the user's library."""

    def __init__(
        self, viewer: Any, hub: JobHub, image_of: ImageOf, device_of: Callable[[], str]
    ) -> None:
        self._viewer, self._hub = viewer, hub
        self._image_of, self._device_of = image_of, device_of
        self.labels = Choice(tooltip="The Labels layer that holds the strokes; 0 is unpainted")
        self.new_button = _button("New labels", "Make one in the place of the image")
        self.classes = ClassList()
        self.start = Choice([_NEW], tooltip="What Train begins with; strokes improve it")
        self.train_button = _button("Train", "Learn from the strokes, and from those to come")
        self.pause_button = _button("Pause", "Hold it; strokes are kept")
        self.keep_button = _button("Keep…", "Save the model, and choose it in this panel")
        self.status = Message()
        self.lesson: Lesson | None = None
        self._lessons: list[Lesson] = []
        self._layer: Any = None
        self._told = 0
        self.keys = NumberKeys(viewer, self.choose)
        self._tick = QTimer()
        body = QWidget()
        self._lay_out(body)
        super().__init__("Paint and train", body, tooltip="Make a model from painted labels")
        self._connect()

    def make_labels(self) -> Any:
        """Add a Labels layer in the image's place, and choose it.

        Raises
        ------
        InputError
            If there is no image, or its axes cannot be known.
        """
        _, raster = self._image_of()
        layer = new_labels(self._viewer, raster)
        self.refresh()
        self.labels.value = layer.name
        return layer

    def train(self) -> Lesson:
        """Learn from the strokes: begin, begin anew for other layers or classes, or go on.

        Raises
        ------
        TinctureError
            If something is missing, or labels and image do not fit.
        """
        image, raster = self._image_of()
        if self._layer is None:
            raise InputError("Press New labels, and paint some pixels of each class.")
        if self.lesson is not None and self._fits(self.lesson, image):
            self.lesson.pause(held=False)
            return self.lesson
        lesson = Lesson(
            self._viewer, self._hub, image, self._layer, raster, self.classes.classes,
            self._device_of(), self.start.value or "",
        )  # fmt: skip
        # Only now are its values known to be classes: a result may lie in it until then.
        write_classes(self._layer, self.classes.classes)
        self._leave()
        self.lesson, self._told = lesson, 0
        self._lessons[:] = [lesson]
        lesson.changed.connect(self._show)
        self._show()
        return lesson

    def pause(self) -> None:
        """Hold the session."""
        if self.lesson is not None:
            self.lesson.pause(held=True)

    def keep(self, name: str) -> None:
        """Save the model to the user's library, under this name or one like it."""
        if self.lesson is not None:
            self.lesson.keep(name, self.classes.classes)
            self.status.show_text(Level.NOTE, "Keeping the model …")

    def offer(self, models: Iterable[Item]) -> None:
        """Offer models to begin with."""
        self.start.set_items([_NEW, *models])

    def choose(self, place: int) -> None:
        """Paint the class at this place of the list; nothing if there is none."""
        if self._layer is not None and place < len(self.classes.classes):
            self._try(lambda: select(self._viewer, self._layer, self.classes.classes[place].value))

    def refresh(self) -> None:
        """Bring what is offered up to date."""
        chosen = self._layer
        self.labels.blockSignals(True)
        self.labels.set_items([Item(name, name) for name in labels_names(self._viewer)])
        if chosen is not None and chosen in self._viewer.layers:
            self.labels.value = chosen.name  # it may have been renamed
        self.labels.blockSignals(False)
        self._on_labels()

    def close_down(self, *_: Any) -> None:
        """End the session and give the keys back until they wake; strokes stay."""
        self.keys.rest()
        self._tick.stop()
        self._leave()
        self._watch(None)
        self._hub.teacher.rest(id(self))

    def _lay_out(self, body: QWidget) -> None:
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        buttons = row([self.train_button, self.pause_button, self.keep_button])
        layout.addWidget(row([self.labels, self.new_button]))
        layout.addWidget(self.classes)
        begin = form()
        begin.addRow("Begin with", self.start)
        layout.addLayout(begin)
        layout.addWidget(buttons)
        layout.addWidget(self.status)

    def _connect(self) -> None:
        self._tick.setInterval(_TICK)
        self._tick.timeout.connect(self._show)
        self.labels.chosen.connect(self._on_labels)
        self.new_button.clicked.connect(lambda _: self._try(self.make_labels))
        self.train_button.clicked.connect(lambda _: self._try(self.train))
        self.pause_button.clicked.connect(lambda _: self.pause())
        self.keep_button.clicked.connect(lambda _: self._ask_name())
        self.classes.changed.connect(self._on_classes)
        self.classes.chosen.connect(self.choose)
        self._hub.changed.connect(self._on_job)
        self.destroyed.connect(self.keys.release)
        when_gone(self, partial(_end, self._lessons, self._hub, id(self)))

    def _fits(self, lesson: Lesson, image: Any) -> bool:
        """Whether a session learns from what is chosen now."""
        values = [each.value for each in self.classes.classes]
        same = lesson.image is image and lesson.strokes is self._layer
        same &= lesson.start == self.start.value
        return lesson.alive and same and values == [each.value for each in lesson.classes]

    def _leave(self) -> None:
        if self.lesson is not None:
            lesson, self.lesson = self.lesson, None
            lesson.changed.disconnect(self._show)
            lesson.end()
            lesson.overlay.remove()
            self._lessons.clear()

    def _fold(self, shown: bool) -> None:
        super()._fold(shown)
        self._bind()
        if shown:
            self._hub.teacher.wake(id(self))

    def _bind(self) -> None:
        """Take the number keys while there are classes to choose, and the section is open."""
        if not self.unfolded or self._layer is None:
            self.keys.release()
            return
        images = [layer for layer in self._viewer.layers if layer is not self._layer]
        self.keys.bind([self._layer, *images])

    def _on_labels(self) -> None:
        name = self.labels.value
        layer = next((each for each in self._viewer.layers if each.name == name), None)
        if layer is not self._layer:
            self._watch(layer)
            if layer is not None:
                self.classes.show_classes(read_classes(layer))
        self._bind()
        self._show()

    def _watch(self, layer: Any) -> None:
        """Hear which label is selected on a layer."""
        if self._layer is not None:
            self._layer.events.selected_label.disconnect(self._on_selected)
        self._layer = layer
        if layer is not None:
            layer.events.selected_label.connect(self._on_selected)

    def _on_selected(self, _: Any) -> None:
        self._show()

    def _on_classes(self) -> None:
        if self._layer is not None:
            write_classes(self._layer, self.classes.classes)
        lesson = self.lesson
        if lesson is None:
            return
        lesson.overlay.recolour(self.classes.classes)
        if lesson.alive and not lesson.paused and not self._fits(lesson, lesson.image):
            self._try(self.train)

    def _on_job(self, job: Job) -> None:
        lesson = self.lesson
        if lesson is None or job is not lesson.job:
            return
        lesson.hear(job)
        for name in lesson.job.kept[self._told :]:
            self._told += 1
            self._hub.models_changed.emit()
            self.kept.emit(name)

    def _ask_name(self) -> None:
        if self.lesson is None:
            return
        name = f"{self.lesson.image.name} painted"
        text, wanted = QInputDialog.getText(self, "Keep the model", "Name", text=name)
        if wanted and text.strip():
            self.keep(text.strip())

    def _show(self) -> None:
        """Show how the session gets on."""
        lesson = self.lesson
        selected = 0 if self._layer is None else self._layer.selected_label
        self.classes.show_state(selected, () if lesson is None else lesson.job.pixels)
        self.classes.setVisible(self._layer is not None)
        going = lesson is not None and lesson.alive and not lesson.paused
        self.train_button.setEnabled(self._layer is not None)
        self.train_button.setText("Train")
        self.pause_button.setEnabled(going)
        self.keep_button.setEnabled(lesson is not None and lesson.alive and lesson.job.steps > 0)
        self.status.show_text(*status_of(lesson, painted=self._layer is not None))
        if lesson is not None and lesson.waiting is not None and going:
            self._tick.start()
        else:
            self._tick.stop()

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except TinctureError as error:
            self.status.show_text(Level.PROBLEM, in_panel(error))


def _end(lessons: list[Lesson], hub: JobHub, panel: int) -> None:
    for lesson in lessons:
        lesson.end()
    hub.teacher.rest(panel)


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button
