"""Small pieces of a form: a drop-down of values, a message in colour, a part that folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from qtpy.QtCore import QEvent, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QScrollBar,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a drop-down: what is read, what it stands for, and a tooltip."""

    text: str
    value: Any
    help: str = ""


class Choice(QComboBox):
    """A drop-down of values; it keeps its value when the entries change."""

    chosen = Signal()

    def __init__(self, items: Iterable[Item] = (), *, tooltip: str = "") -> None:
        super().__init__()
        self.setToolTip(tooltip)
        # Long names of layers must not widen the dock.
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.setSizeAdjustPolicy(policy)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_items(items)
        self.currentIndexChanged.connect(lambda _: self.chosen.emit())

    @property
    def value(self) -> Any:
        """What the current entry stands for; None if there is none."""
        return self.currentData()

    @value.setter
    def value(self, value: Any) -> None:
        self.setCurrentIndex(self._position(value))

    def offers(self, value: Any) -> bool:
        """Whether there is an entry for a value."""
        return self._position(value) >= 0

    def set_items(self, items: Iterable[Item]) -> None:
        """Replace the entries; the current value stays if it is among them, else the first."""
        wanted, before = list(items), self.value
        if wanted == self._items():
            return
        self.blockSignals(True)
        self.clear()
        for number, item in enumerate(wanted):
            self.addItem(item.text, item.value)
            self.setItemData(number, item.help, Qt.ItemDataRole.ToolTipRole)
        self.setCurrentIndex(max(self._position(before), 0 if wanted else -1))
        self.blockSignals(False)
        if self.value != before:
            self.chosen.emit()

    def _items(self) -> list[Item]:
        role = Qt.ItemDataRole.ToolTipRole
        return [
            Item(self.itemText(i), self.itemData(i), self.itemData(i, role) or "")
            for i in range(self.count())
        ]

    def _position(self, value: Any) -> int:
        # findData compares by Qt's rules, which know neither tuples nor None.
        values = [self.itemData(i) for i in range(self.count())]
        return values.index(value) if value in values else -1

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to the panel: scrolling over a setting must not change it."""
        event.ignore()


def take(choice: Choice, given: dict[str, Any], name: str, unset: Any) -> None:
    """Show a setting in a drop-down and take it off the list, if it is offered.

    Parameters
    ----------
    choice, given, name
        Where, of which settings, and which one.
    unset
        What is shown where nothing is given.
    """
    value = given.get(name, unset)
    if choice.offers(value):
        choice.value = value
        given.pop(name, None)
    else:
        choice.value = unset


NARROWEST = 270
"""Pixels: a panel's width, unless it is dragged wider."""
PADDING = 2
"""Pixels that napari's style puts around what scrolls."""
LOWEST = 270
"""Pixels: a form without unfolded parts is about as high."""
LABEL_WIDTH = 64
"""Pixels: as wide as the longest label, Precision."""


class Level(Enum):
    """How a message is meant; the value is its colour, for napari's dark and light themes."""

    READY = "46, 139, 87"
    NOTE = "214, 142, 20"
    PROBLEM = "200, 55, 43"


class Wrapped(QLabel):
    """A text as high as it needs at its width: Qt's layouts squeeze or stretch wrapped labels."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Ask for the height of the text at the present width, and for no width."""
        return QSize(0, max(0, self.heightForWidth(self.width())))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Insist on it."""
        return self.sizeHint()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Ask again: at another width, the text needs another height."""
        super().resizeEvent(event)
        self.updateGeometry()


class OneLine(QLabel):
    """A text on one line, shortened in its middle where there is no room."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def paintEvent(self, _: Any) -> None:  # noqa: N802 - Qt's name
        """Draw as much of the text as fits."""
        cut = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideMiddle, self.width())
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), Qt.AlignmentFlag.AlignVCenter, cut)


class Message(Wrapped):
    """A short text on a bar of colour."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.level = Level.READY

    def show_text(self, level: Level, text: str) -> None:
        """Show a text; an empty one hides the bar."""
        self.level = level
        self.setText(text)
        self.setVisible(bool(text))
        self.setStyleSheet(
            f"border-left: 4px solid rgb({level.value}); padding: 3px 3px 3px 7px;"
            f"background: rgba({level.value}, 45);"
        )


class Scrolling(QScrollArea):
    """Shows all of a form where there is room, and scrolls it where there is not."""

    def __init__(self, body: QWidget) -> None:
        super().__init__()
        self._body, self._bar = body, QScrollBar(Qt.Orientation.Vertical)
        self.setVerticalScrollBar(self._bar)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.setWidget(body)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Ask for as much height as the form needs."""
        return QSize(self._narrowest(), self._body.sizeHint().height() + PADDING)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Be content with what is seldom exceeded."""
        return QSize(self._narrowest(), min(self.sizeHint().height(), LOWEST))

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        """Ask again when rows come or go."""
        if watched is self._body and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))

    def _narrowest(self) -> int:
        bar = self._bar.sizeHint().width() + PADDING  # it may be there
        return max(NARROWEST, self._body.minimumSizeHint().width() + bar)


class Folding(QWidget):
    """A header with a summary that shows or hides what is below it."""

    def __init__(self, title: str, body: QWidget, *, tooltip: str = "") -> None:
        super().__init__()
        self._title, self.body = title, body
        self._button = QToolButton()
        self._button.setCheckable(True)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._button.setStyleSheet("text-align: left; background: transparent; border: none;")
        self._button.setToolTip(tooltip)
        self._button.toggled.connect(self._fold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._button)
        layout.addWidget(body)
        self._fold(False)
        self.summarise("")

    @property
    def unfolded(self) -> bool:
        """Whether the body is shown."""
        return bool(self._button.isChecked())

    @unfolded.setter
    def unfolded(self, shown: bool) -> None:
        self._button.setChecked(shown)

    def summarise(self, text: str) -> None:
        """Say in the header what is inside."""
        self._button.setText(f"{self._title}: {text}" if text else self._title)

    def _fold(self, shown: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow
        self._button.setArrowType(arrow)
        self.body.setVisible(shown)


def form() -> QFormLayout:
    """Make a form with narrow margins whose fields take all the width."""
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(8)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return layout


def align_labels(layout: QFormLayout) -> None:
    """Give the labels of a form the width that the labels of all forms of a panel have."""
    for number in range(layout.rowCount()):
        item = layout.itemAt(number, QFormLayout.ItemRole.LabelRole)
        if item is not None and (label := item.widget()) is not None:
            label.setMinimumWidth(LABEL_WIDTH)


def row(widgets: Sequence[QWidget], into: QWidget | None = None) -> QWidget:
    """Put widgets side by side, in a new one unless one is given."""
    whole = into or QWidget()
    layout = QHBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return whole


def show_row(layout: QFormLayout, field: QWidget, shown: bool) -> None:
    """Show or hide a field of a form together with its label."""
    field.setVisible(shown)
    label = layout.labelForField(field)
    if label is not None:
        label.setVisible(shown)
