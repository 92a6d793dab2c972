"""How far the values of images may reach: their type tells, or a person."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QDoubleValidator
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_tincture.errors import InputError
from napari_tincture.widgets._form import Choice, Item, row

_HELP = "Difference between the largest and the smallest possible value; nothing is rescaled"


class RangeRow(QWidget):
    """A drop-down, a number, and likely numbers as buttons while there is a question."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.kind = Choice(
            [
                Item("of the type", "type", "255 for uint8, 65535 for uint16"),
                Item("a number", "number", _HELP),
            ],
            tooltip=_HELP,
        )
        self.number = QLineEdit()
        self.number.setToolTip(_HELP)
        self.number.setPlaceholderText("e.g. 4095")
        self.number.setValidator(QDoubleValidator(0.0, 1e300, 12))
        self.answers: list[QPushButton] = []
        self._buttons = QWidget()
        self._button_row = QHBoxLayout(self._buttons)
        self._button_row.setContentsMargins(0, 0, 0, 0)
        self._button_row.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(row([self.kind, self.number]))
        layout.addWidget(self._buttons)
        self.kind.chosen.connect(self._on_change)
        self.number.textChanged.connect(self._on_change)
        self.ask(())
        self._on_change()

    @property
    def value(self) -> float | None:
        """The number; None to take it from the type.

        Raises
        ------
        InputError
            If there is no positive number.
        """
        if self.kind.value == "type":
            return None
        text = self.number.text().strip()
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if number <= 0:
            raise InputError(
                f"Data range {text!r}: enter the difference between the largest and the smallest "
                "possible value, such as 255."
            )
        return number

    def ask(self, candidates: Sequence[float]) -> None:
        """Offer likely numbers as buttons; none ends the question."""
        if [f"{number:.15g}" for number in candidates] == [b.text() for b in self.answers]:
            return
        for button in self.answers:
            self._button_row.removeWidget(button)
            button.deleteLater()
        self.answers = []
        for number in candidates:
            button = QPushButton(f"{number:.15g}")
            button.setToolTip(f"Take {number:.15g} as the data range")
            button.clicked.connect(partial(self._answer, number))
            self._button_row.addWidget(button)
            self.answers.append(button)
        self._buttons.setVisible(bool(candidates))

    def _answer(self, number: float, *_: object) -> None:
        self.ask(())
        self.number.setText(f"{number:.15g}")
        self.kind.value = "number"

    def _on_change(self) -> None:
        self.number.setVisible(self.kind.value == "number")
        self.changed.emit()
