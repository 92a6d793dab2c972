"""A short list of things to tick."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QSizePolicy

from napari_tincture.widgets._form import Item

_VALUE = Qt.ItemDataRole.UserRole
_FLAGS = Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled
_TICKED, _FREE = Qt.CheckState.Checked, Qt.CheckState.Unchecked


class Ticks(QListWidget):
    """Entries with boxes; what is ticked stays so when entries change.

    Parameters
    ----------
    tooltip
        Of the whole.
    rows
        Entries that are seen at once, at most.
    """

    changed = Signal()

    def __init__(self, *, tooltip: str = "", rows: int = 4) -> None:
        super().__init__()
        self._rows = rows
        self._values: list[Any] = []
        self._entries: list[QListWidgetItem] = []
        self._barred: set[Any] = set()
        self.setToolTip(tooltip)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setUniformItemSizes(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.itemChanged.connect(lambda _: self.changed.emit())

    @property
    def offered(self) -> list[Any]:
        """What the entries stand for."""
        return list(self._values)

    @property
    def ticked(self) -> list[Any]:
        """What the ticked entries stand for, in order."""
        pairs = zip(self._values, self._entries, strict=True)
        return [value for value, entry in pairs if entry.checkState() == _TICKED]

    @ticked.setter
    def ticked(self, values: Sequence[Any]) -> None:
        for value, entry in zip(self._values, self._entries, strict=True):
            chosen = value in values and value not in self._barred
            entry.setCheckState(_TICKED if chosen else _FREE)

    def set_items(
        self, items: Iterable[Item], *, ticked: Sequence[Any] = (), barred: Collection[Any] = ()
    ) -> None:
        """Replace the entries.

        Parameters
        ----------
        items
            Those that were ticked stay so.
        ticked
            Those that are ticked, if they were not there before.
        barred
            Those that are grey, and cannot be ticked.
        """
        wanted = list(items)
        before, known = self.ticked, self.offered
        if wanted == self._items() and set(barred) == self._barred:
            return
        self._barred = set(barred)
        self.blockSignals(True)
        self.clear()
        self._values, self._entries = [item.value for item in wanted], []
        for item in wanted:
            entry = QListWidgetItem(item.text)
            entry.setToolTip(item.help)
            free = item.value not in self._barred
            wished = item.value in before or (item.value in ticked and item.value not in known)
            chosen = wished and free
            entry.setFlags(_FLAGS if free else Qt.ItemFlag.NoItemFlags)
            entry.setCheckState(_TICKED if chosen else _FREE)
            self.addItem(entry)
            self._entries.append(entry)
        self.blockSignals(False)
        self.updateGeometry()
        if self.ticked != before:
            self.changed.emit()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Ask for as much height as the entries need."""
        height = self.sizeHintForRow(0) if self.count() else self.fontMetrics().height() + 4
        frame = 2 * self.frameWidth() + 2
        return QSize(80, height * min(max(self.count(), 1), self._rows) + frame)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Insist on it."""
        return self.sizeHint()

    def _items(self) -> list[Item]:
        return [
            Item(entry.text(), value, entry.toolTip())
            for entry, value in zip(self._entries, self._values, strict=True)
        ]
