"""The classes of a model of synthesis: a legend, and what to paint with."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QGridLayout, QSizePolicy, QToolButton, QWidget

from napari_tincture.models.card import Channel

COLUMNS = 2
SPOT = 14
"""Side in pixels of a class's colour."""
KEYS = 9


class Palette(QWidget):
    """A button for each class, which chooses it to be painted; its colour is that of the map."""

    chosen = Signal(int)
    """A value of the label map is to be painted."""

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[int, QToolButton] = {}
        self._shown: Mapping[int, Channel] = {}
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)

    @property
    def values(self) -> list[int]:
        """Of the classes, in their order."""
        return list(self.buttons)

    def offer(self, classes: Mapping[int, Channel]) -> None:
        """Show the classes of a model, by their values."""
        if classes == self._shown:
            return
        self._shown = dict(classes)
        for button in self.buttons.values():
            self._layout.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = {}
        for place, (value, channel) in enumerate(classes.items()):
            button = self._button(place, value, channel)
            self._layout.addWidget(button, place // COLUMNS, place % COLUMNS)
            self.buttons[value] = button

    def show_chosen(self, value: int | None) -> None:
        """Show what is painted now."""
        for own, button in self.buttons.items():
            button.setChecked(own == value)

    def _button(self, place: int, value: int, channel: Channel) -> QToolButton:
        button = QToolButton()
        button.setText(f"{value}  {channel.name}")
        button.setIcon(_spot(channel.colour))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setCheckable(True)
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        key = f" (key {place + 1})" if place < KEYS else ""
        button.setToolTip(f"Paint {channel.name}, value {value}{key}")
        button.clicked.connect(lambda _, v=value: self.chosen.emit(v))
        return button


def _spot(colour: str) -> QIcon:
    picture = QPixmap(SPOT, SPOT)
    picture.fill(QColor(colour))
    return QIcon(picture)
