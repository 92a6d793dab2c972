"""The list of classes that are painted: name, colour, how much is painted, and which is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QColorDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.widgets._form import row
from napari_tincture.widgets._teach_layer import TeachClass, colour_of

_COUNT, _SPOT = 62, 22
"""Pixels that a count is wide, and a button with a colour."""


class ClassList(QWidget):
    """One row for each class; the key of the first nine is their number."""

    changed = Signal()
    """A class was added, removed, renamed or coloured."""
    chosen = Signal(int)
    """A class, by its place, is to be painted."""

    def __init__(self) -> None:
        super().__init__()
        self._classes: tuple[TeachClass, ...] = ()
        self.rows: list[ClassRow] = []
        self.add_button = QPushButton("Add class")
        self.add_button.setToolTip("Another class; what was learned is learned anew")
        self.add_button.clicked.connect(lambda _: self.add())
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(3)
        self._layout.addWidget(self.add_button)

    @property
    def classes(self) -> tuple[TeachClass, ...]:
        """As they are shown."""
        return self._classes

    def show_classes(self, classes: Sequence[TeachClass]) -> None:
        """Replace the list; nobody is told."""
        if tuple(classes) == self._classes:
            return
        before, self._classes = self._classes, tuple(classes)
        if [each.value for each in before] == [each.value for each in classes]:
            for own, one in zip(self.rows, classes, strict=True):
                own.show_class(one)
            return
        for own in self.rows:
            # Not now: it may be one of its own buttons that was pressed.
            self._layout.removeWidget(own)
            own.hide()
            own.deleteLater()
        self.rows = []
        for place, one in enumerate(classes):
            own = ClassRow(place, one)
            own.picked.connect(self.chosen)
            own.edited.connect(self._on_edited)
            own.removed.connect(self.remove)
            self._layout.insertWidget(place, own)
            self.rows.append(own)

    def add(self) -> None:
        """Add a class with the next value."""
        value = max((each.value for each in self._classes), default=0) + 1
        taken = {each.colour for each in self._classes}
        free = [colour_of(n) for n in range(10) if colour_of(n) not in taken]
        colour = free[0] if free else colour_of(value)
        self.show_classes([*self._classes, TeachClass(value, f"class {value}", colour)])
        self.changed.emit()
        self.chosen.emit(len(self._classes) - 1)

    def remove(self, place: int) -> None:
        """Take a class out; its strokes stay in the layer, and count for nothing."""
        self.show_classes([one for n, one in enumerate(self._classes) if n != place])
        self.changed.emit()

    def show_state(self, selected: int, pixels: Sequence[int]) -> None:
        """Show which value is painted, and how many pixels of each class were."""
        for place, own in enumerate(self.rows):
            own.show_state(
                chosen=self._classes[place].value == selected,
                pixels=pixels[place] if place < len(pixels) else 0,
            )

    def _on_edited(self, place: int, name: str, colour: str) -> None:
        others = {one.name for n, one in enumerate(self._classes) if n != place}
        one = self._classes[place]
        # Two of a name could not be told apart in a model's card.
        name = one.name if not name or name in others else name
        edited = replace(one, name=name, colour=colour)
        self.rows[place].show_class(edited)
        if edited != one:
            classes = list(self._classes)
            classes[place] = edited
            self._classes = tuple(classes)
            self.changed.emit()


class ClassRow(QWidget):
    """A class: its number, its colour, its name, what is painted, and a button to remove it."""

    picked = Signal(int)
    edited = Signal(int, str, str)
    removed = Signal(int)

    def __init__(self, place: int, one: TeachClass) -> None:
        super().__init__()
        self._place, self._colour = place, one.colour
        key = f", key {place + 1}" if place < 9 else ""
        self.pick, self.colour, self.name = QToolButton(), QToolButton(), QLineEdit()
        self.pick.setText(str(place + 1))
        self.pick.setCheckable(True)
        self.pick.setStyleSheet("QToolButton:checked { background: rgba(128, 128, 128, 160); }")
        self.pick.setToolTip(f"Paint this class{key}")
        self.colour.setToolTip("Its colour")
        self.name.setToolTip("Its name")
        self.count = QLabel()
        self.count.setFixedWidth(_COUNT)
        self.drop = QToolButton()
        self.drop.setText("×")
        self.drop.setToolTip("Remove the class; its strokes stay, and count for nothing")
        for button in (self.pick, self.colour, self.drop):
            button.setFixedWidth(_SPOT)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row([self.pick, self.colour, self.name, self.count, self.drop]))
        self.pick.clicked.connect(lambda _: self.picked.emit(self._place))
        self.colour.clicked.connect(lambda _: self._choose_colour())
        self.drop.clicked.connect(lambda _: self.removed.emit(self._place))
        self.name.editingFinished.connect(self._tell)
        self.show_class(one)

    def show_class(self, one: TeachClass) -> None:
        """Show its name and colour."""
        self._colour = one.colour
        if self.name.text() != one.name:
            self.name.setText(one.name)
        self.colour.setStyleSheet(f"background: {one.colour}; border: none;")

    def show_state(self, *, chosen: bool, pixels: int) -> None:
        """Show whether it is painted now, and how much was."""
        self.pick.setChecked(chosen)
        self.count.setText(f"{pixels:,} px" if pixels else "")

    def _choose_colour(self) -> None:
        chosen = QColorDialog.getColor(QColor(self._colour), self, "Colour of the class")
        if chosen.isValid():
            self._colour = chosen.name()
            self._tell()

    def _tell(self) -> None:
        self.edited.emit(self._place, self.name.text().strip(), self._colour)
