"""Programs that somebody else wrote: what they are, their text, and whether they may be run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QCheckBox, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from napari_tincture.widgets._form import Folding, Level, Message

WARNING = (
    "The package holds programs of others. Run, they could do anything that you can. Allow what "
    "you know and trust; all else is not run."
)
TEXT_HEIGHT = 180
"""Pixels."""
HALF = 32
"""Digits of a hash on one line."""


class Programs(QWidget):
    """One box for each program, not ticked until a person does."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[str, QCheckBox] = {}
        """By SHA-256."""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.setVisible(False)

    @property
    def agreed(self) -> list[str]:
        """SHA-256 of the programs whose box is ticked."""
        return [sha256 for sha256, box in self.boxes.items() if box.isChecked()]

    def show_programs(self, programs: Sequence[Mapping[str, Any]]) -> None:
        """Show programs: mappings of file, what, sha256 and text."""
        layout = self.layout()
        assert layout is not None
        warning = Message()
        warning.show_text(Level.NOTE, WARNING)
        if programs:
            layout.addWidget(warning)
        for program in programs:
            self.boxes[program["sha256"]] = box = QCheckBox("Run this code")
            box.setToolTip("Agree that this very file is run, also later with the model")
            box.toggled.connect(lambda _: self.changed.emit())
            for widget in (_title(program), _hash(program["sha256"]), _text(program), box):
                layout.addWidget(widget)
        self.setVisible(bool(programs))


def _title(program: Mapping[str, Any]) -> QLabel:
    label = QLabel(f"{program['file']}: {program['what']}")
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setStyleSheet("font-weight: bold;")
    return label


def _hash(sha256: str) -> QLabel:
    label = QLabel(f"SHA-256 {sha256[:HALF]}\n        {sha256[HALF:]}")
    label.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _text(program: Mapping[str, Any]) -> Folding:
    text = QPlainTextEdit(program["text"])
    text.setReadOnly(True)
    text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    text.setFixedHeight(TEXT_HEIGHT)
    return Folding("What is in it", text, tooltip="The program's own lines")
