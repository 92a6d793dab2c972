"""The panel in which a stain is corrected.

1. Every change, of a setting or in the viewer, starts a short timer; then it is said what would be
   stored, or why nothing can be.
2. Right and Wrong let the user paint on the stained layer.
3. Keep stores what is marked, in a thread of this process; Train goes on with what is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.training.correction_set import RIGHT, WRONG, Corrections
from napari_tincture.widgets._background import Background, in_panel
from napari_tincture.widgets._correct_plan import (
    Correction,
    folder_of,
    image_of,
    make_correction,
    model_of,
    stained_names,
)
from napari_tincture.widgets._form import (
    Choice,
    Item,
    Level,
    Message,
    Scrolling,
    align_labels,
    form,
    row,
)
from napari_tincture.widgets._layers import LayerWatch, image_names
from napari_tincture.widgets._marks import COLOURS, marks_of, paint
from napari_tincture.widgets._train_again import train_again
from napari_tincture.widgets._viewer import bare

_PAUSE = 40
"""Milliseconds without a change after which the panel is refreshed."""


class CorrectPanel(QWidget):
    """Says where a stain is right or wrong, keeps that, and lets its model learn from it.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = bare(napari_viewer)
        self.storing = Background("tincture-corrections")
        self._said = ""
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_PAUSE)
        self._make_settings()
        self._lay_out()
        self._connect()
        self.refresh()

    def correction(self) -> Correction:
        """What would be stored now.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        layer = self._stained_layer()
        marks = None if layer is None else marks_of(self.viewer, layer)
        return make_correction(
            self.viewer, self.stained.value or "", self.image.value or "", marks,
            self.reference.value or "", self.folder.text().strip(), self.weight.value(),
        )  # fmt: skip

    def mark(self, mark: int) -> Any:
        """Let the user paint 1, right, or 2, wrong; gives the layer of marks.

        Raises
        ------
        InputError
            If no stained layer is chosen.
        """
        layer = self._stained_layer()
        if layer is None:
            raise InputError("Stain an image first; then say here where it is right or wrong.")
        return paint(self.viewer, layer, mark)

    def keep(self) -> None:
        """Store what is marked.

        Raises
        ------
        TinctureError
            If something is missing or does not fit.
        """
        self.storing.start(self.correction())
        self._say(Level.NOTE, "Storing …")
        self.keep_button.setEnabled(False)

    def train(self) -> None:
        """Go on with the model, from all that is stored.

        Raises
        ------
        TinctureError
            If nothing is, or the model cannot go on.
        """
        layer = self._stained_layer()
        if layer is None:
            raise InputError("Choose a stained layer.")
        train_again(self.viewer, model_of(layer), Path(self.folder.text().strip()).expanduser())

    def refresh(self) -> None:
        """Bring what the panel offers and says up to date, now."""
        self._later.stop()
        names = image_names(self.viewer)
        self.stained.set_items([Item(name, name) for name in stained_names(self.viewer)])
        self.image.set_items([Item(name, name) for name in names if name != self.stained.value])
        others = [name for name in names if name not in (self.stained.value, self.image.value)]
        self.reference.set_items([Item("none", ""), *(Item(name, name) for name in others)])
        known = self._count()
        self.train_button.setEnabled(known > 0)
        if self.storing.running:
            return
        try:
            self.correction()
        except TinctureError as error:
            self._say(Level.PROBLEM, in_panel(error))
        else:
            held = f" {known} stored." if known else ""
            self._say(Level.READY, self._said or f"Ready to be kept.{held}")
            self.keep_button.setEnabled(True)

    def _make_settings(self) -> None:
        self.stained = Choice(tooltip="The stain to be corrected")
        self.image = Choice(tooltip="What was stained")
        self.right = _brush("Right", RIGHT, "Paint where the stain is right")
        self.wrong = _brush("Wrong", WRONG, "Paint where the stain is wrong")
        self.reference = Choice(tooltip="The chemical stain of the same place, where it is known")
        self.weight = QDoubleSpinBox()
        self.weight.setRange(0.1, 1000)
        self.weight.setValue(10)
        self.weight.setToolTip("How much more wrong places count where the reference is known")
        self.folder = QLineEdit()
        self.folder.setToolTip("The growing data set; it is only ever added to")
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setToolTip("Choose the folder of the data set")
        self.keep_button = QPushButton("Keep corrections")
        self.keep_button.setToolTip("Store what is marked, with its surroundings")
        self.train_button = QPushButton("Train again…")
        self.train_button.setToolTip("Let the model learn from all that is stored")
        self.message = Message()

    def _lay_out(self) -> None:
        self._form = form()
        for text, field in (
            ("Stain", self.stained), ("Image", self.image),
            ("Paint", row([self.right, self.wrong])), ("Reference", self.reference),
            ("Weight", self.weight), ("Folder", row([self.folder, self.browse])),
        ):  # fmt: skip
            self._form.addRow(text, field)
        align_labels(self._form)
        settings = QWidget()
        settings.setLayout(self._form)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        buttons = row([self.keep_button, self.train_button])
        for widget in (Scrolling(settings), self.message, buttons):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _connect(self) -> None:
        self._later.timeout.connect(self.refresh)
        self.stained.chosen.connect(self._on_stained)
        for choice in (self.image, self.reference):
            choice.chosen.connect(self._on_change)
        self.weight.valueChanged.connect(self._on_change)
        self.folder.textChanged.connect(self._on_change)
        self.right.clicked.connect(lambda: self._try(lambda: self.mark(RIGHT)))
        self.wrong.clicked.connect(lambda: self._try(lambda: self.mark(WRONG)))
        self.keep_button.clicked.connect(lambda: self._try(self.keep))
        self.train_button.clicked.connect(lambda: self._try(self.train))
        self.browse.clicked.connect(self._browse)
        self.storing.finished.connect(self._on_stored)
        self.storing.failed.connect(lambda error: self._say(Level.PROBLEM, in_panel(error)))
        watch = self._later.start
        self._watch = LayerWatch(self.viewer, self._on_change, watch, watch)
        self.destroyed.connect(self._watch.stop)
        self.destroyed.connect(self.storing.drop)
        self._watch.start()

    def _on_stained(self) -> None:
        layer = self._stained_layer()
        if layer is not None:
            self.folder.setText(folder_of(model_of(layer)))
            self.refresh()
            if name := image_of(self.viewer, layer):
                self.image.value = name
        self._on_change()

    def _on_change(self, *_: Any) -> None:
        self._said = ""
        self._later.start()

    def _on_stored(self, text: str) -> None:
        self._said = text
        self.refresh()

    def _stained_layer(self) -> Any:
        return self.viewer.layers[self.stained.value] if self.stained.value else None

    def _count(self) -> int:
        text = self.folder.text().strip()
        try:
            return len(Corrections(Path(text).expanduser())) if text else 0
        except TinctureError:
            return 0

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder of corrections", self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except TinctureError as error:
            self._say(Level.PROBLEM, in_panel(error))

    def _say(self, level: Level, text: str) -> None:
        self.message.show_text(level, text)
        self.keep_button.setEnabled(level is not Level.PROBLEM)

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Hear nothing while in no window: napari closes a dock by taking the panel out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self._watch.stop()
            else:
                self._watch.start()
        super().changeEvent(event)


def _brush(text: str, mark: int, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    spot = QPixmap(12, 12)
    spot.fill(QColor(COLOURS[mark]))
    button.setIcon(QIcon(spot))
    button.setToolTip(tooltip)
    return button
