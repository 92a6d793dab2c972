"""A comparison as a table that Qt shows: sorted by value, the best figures in bold."""

from __future__ import annotations

import math
from typing import Any

from qtpy.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    Qt,
)
from qtpy.QtGui import QFont

from napari_tincture.tasks.comparison import PLACES, Comparison, cell_text

_ROLE = Qt.ItemDataRole
_NOWHERE = QModelIndex()


class FiguresModel(QAbstractTableModel):
    """Rows and columns of a comparison, in an order of its own."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.found: Comparison | None = None
        self.columns: list[str] = []
        self._order: list[int] = []
        self._best: frozenset[tuple[int, str]] = frozenset()

    def show(self, found: Comparison | None) -> None:
        """Take another comparison."""
        self.beginResetModel()
        self.found = found
        self.columns = found.columns if found else []
        self._order = list(range(len(found.table))) if found else []
        self._best = found.best if found else frozenset()
        self.endResetModel()

    def row_at(self, place: int) -> dict[str, Any]:
        """The row of the comparison that is shown at a place."""
        assert self.found is not None
        return self.found.table[self._order[place]]

    def as_tsv(self, columns: list[str]) -> str:
        """Some columns in the order of the rows as shown, with all digits, for a spreadsheet."""
        lines = [columns]
        for place in range(self.rowCount()):
            values = self.row_at(place)
            lines.append([str(values.get(name, "")) for name in columns])
        return "\n".join("\t".join(line) for line in lines) + "\n"

    def rowCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Give the number of rows."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Give the number of columns."""
        return 0 if parent.isValid() else len(self.columns)

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Any, role: int = _ROLE.DisplayRole
    ) -> Any:
        """Name columns; rows have no names."""
        if orientation != Qt.Orientation.Horizontal or self.found is None:
            return None
        name = self.columns[section]
        if role == _ROLE.DisplayRole:
            return name
        if role == _ROLE.ToolTipRole and name in self.found.better:
            return f"{name}: {self.found.better[name]} is better. Click to sort."
        return None

    def data(self, index: Any, role: int = _ROLE.DisplayRole) -> Any:
        """Give what a cell shows."""
        if not index.isValid() or self.found is None:
            return None
        number, name = self._order[index.row()], self.columns[index.column()]
        value = self.found.table[number].get(name)
        if role == _ROLE.DisplayRole:
            return cell_text(value) if value is not None else "–"
        if role == _ROLE.ToolTipRole:
            return self.found.undefined.get((number, name), str(value))
        if role == _ROLE.TextAlignmentRole and name not in PLACES:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == _ROLE.FontRole and (number, name) in self._best:
            font = QFont()
            font.setBold(True)
            return font
        return None

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by value; what is undefined comes last either way."""
        if self.found is None or not 0 <= column < len(self.columns):
            return
        table, name = self.found.table, self.columns[column]
        self.layoutAboutToBeChanged.emit()
        known = [i for i in self._order if not _missing(table[i].get(name))]
        rest = [i for i in self._order if _missing(table[i].get(name))]
        known.sort(
            key=lambda i: _key(table[i][name]), reverse=order == Qt.SortOrder.DescendingOrder
        )
        before, self._order = self._order, known + rest
        # What is selected goes with its row.
        places = {number: place for place, number in enumerate(self._order)}
        kept = self.persistentIndexList()
        moved = [self.index(places[before[index.row()]], index.column()) for index in kept]
        self.changePersistentIndexList(kept, moved)
        self.layoutChanged.emit()


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _key(value: Any) -> tuple[int, float, str]:
    """Numbers by size, before texts; numbers of labels are texts."""
    try:
        return 0, float(value), ""
    except ValueError:
        return 1, 0.0, str(value)
