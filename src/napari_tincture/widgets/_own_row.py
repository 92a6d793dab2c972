"""Renaming and removing one's own models, asked on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_tincture.errors import TinctureError
from napari_tincture.models.library import is_own, remove_model, rename_model
from napari_tincture.widgets._form import Level, Message, row

SHIPPED = "came with the package; only your own models can be {}"
RENAME = "Give this model another name"
REMOVE = "Remove this model from the disk; you are asked first"


class OwnRow(QWidget):
    """Two buttons, and what they ask."""

    renamed = Signal(str)
    """The model's new name."""
    removed = Signal(str)
    """The file that is gone."""

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self.rename_button, self.remove_button = QPushButton("Rename…"), QPushButton("Remove…")
        self.field, self.question = QLineEdit(), Message()
        self.field.setToolTip("The new name: letters, digits, and . _ + - between them")
        self.yes, self.no = QPushButton(), QPushButton("Keep it")
        self.yes.setToolTip("Do it")
        self.no.setToolTip("Leave the model as it is")
        self._asked = row([self.yes, self.no])
        self._do: Callable[[], None] = self.close_question
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (row([self.rename_button, self.remove_button]), self.question, self.field):
            layout.addWidget(widget)
        layout.addWidget(self._asked)
        self.rename_button.clicked.connect(lambda _: self._ask_rename())
        self.remove_button.clicked.connect(lambda _: self._ask_remove())
        self.field.returnPressed.connect(lambda: self._do())
        self.yes.clicked.connect(lambda _: self._do())
        self.no.clicked.connect(lambda _: self.close_question())
        self.offer("")

    def offer(self, name: str) -> None:
        """Say which model the buttons are about; empty for none."""
        if name == self._name and name:
            return
        self._name = name
        own = bool(name) and is_own(name)
        for button, usual, done in (
            (self.rename_button, RENAME, "renamed"), (self.remove_button, REMOVE, "removed"),
        ):  # fmt: skip
            button.setEnabled(own)
            button.setToolTip(usual if own or not name else f"{name} {SHIPPED.format(done)}")
        self.close_question()

    def close_question(self) -> None:
        """Ask nothing any more."""
        self._do = self.close_question
        self.question.show_text(Level.NOTE, "")
        self.field.setVisible(False)
        self._asked.setVisible(False)

    def _ask_rename(self) -> None:
        self._ask(self._rename, f"What shall {self._name} be called?", "Rename", RENAME)
        self.field.setText(self._name)
        self.field.setVisible(True)
        self.field.selectAll()
        self.field.setFocus()

    def _ask_remove(self) -> None:
        text = f"Remove {self._name} from the disk for good?"
        self._ask(self._remove, text, "Remove", "Remove it; it cannot be brought back")
        self.field.setVisible(False)
        self.no.setFocus()

    def _ask(self, do: Callable[[], None], text: str, yes: str, tooltip: str) -> None:
        self._do = do
        self.question.show_text(Level.NOTE, text)
        self.yes.setText(yes)
        self.yes.setToolTip(tooltip)
        self._asked.setVisible(True)

    def _rename(self) -> None:
        new = self.field.text().strip()
        if self._done(lambda: rename_model(self._name, new)):
            self.renamed.emit(new)

    def _remove(self) -> None:
        if (path := self._done(lambda: remove_model(self._name))) is not None:
            self.removed.emit(str(path))

    def _done(self, do: Callable[[], Path]) -> Path | None:
        """What came of it; None if that is told here."""
        try:
            path = do()
        except (TinctureError, OSError) as error:
            self.question.show_text(Level.PROBLEM, str(error))
            return None
        self.close_question()
        return path
