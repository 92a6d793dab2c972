"""Whether images lie where the reference is: checking it, and putting them there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QPushButton, QVBoxLayout, QWidget

from napari_tincture.widgets._align_layers import short, warnings_of
from napari_tincture.widgets._form import Choice, Item, Level, Message, row

MODELS = (
    Item("translation", "translation", "A shift"),
    Item("rigid", "euclidean", "A shift and a rotation"),
    Item("similarity", "similarity", "A shift, a rotation and one change of size"),
    Item("affine", "affine", "Also shear, and a change of size along either axis"),
    Item("optical flow", "flow", "Also local distortion; this gives new layers, of new pixels"),
)


class AlignRow(QWidget):
    """Buttons, and a choice of map; `texts` belongs below, as wide as the panel."""

    changed = Signal()
    check = Signal()
    align = Signal()
    undo = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.first = QCheckBox("in every run")
        self.first.setToolTip("Check before comparing, and warn where it explains the score")
        self.first.setChecked(True)
        self.check_button = _button("Check", "Estimate how far the images lie off the reference")
        self.model = Choice(MODELS, tooltip="The most general map that may be used")
        self.model.value = "euclidean"
        self.align_button = _button("Align", "Put the images where the reference is, and compare")
        self.undo_button = _button("Undo", "Put the images back where they were")
        self.said, self.warned = Message(), Message()
        self.texts = _stacked([self.said, self.warned])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(row([self.check_button, self.first]))
        layout.addWidget(row([self.model, self.align_button]))
        layout.addWidget(self.undo_button)
        for button, signal in (
            (self.check_button, self.check), (self.align_button, self.align),
            (self.undo_button, self.undo),
        ):  # fmt: skip
            button.clicked.connect(lambda _, s=signal: s.emit())
        self.first.toggled.connect(lambda _: self.changed.emit())
        self.model.chosen.connect(self.changed)
        self.undo_button.setVisible(False)
        self.clear()

    def clear(self) -> None:
        """Say nothing."""
        self._show("", "")

    def show_found(self, found: Mapping[str, Mapping[str, Any]], *, warn: bool = True) -> None:
        """Say how images lie, by name, as the settings of a comparison have it."""
        lines = [f"{name}: {short(told)}" for name, told in found.items()]
        self._show("\n".join(lines), "\n".join(warnings_of(found)) if warn else "")

    def _show(self, said: str, warned: str) -> None:
        self.said.show_text(Level.READY, said)
        self.warned.show_text(Level.NOTE, warned)
        self.texts.setVisible(bool(said))


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button


def _stacked(widgets: list[Message]) -> QWidget:
    whole = QWidget()
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return whole
