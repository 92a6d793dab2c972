"""What a comparison found, in a panel: table, notes, histogram, and what to do with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFileDialog,
    QHeaderView,
    QPushButton,
    QScrollBar,
    QSizePolicy,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.tasks.comparison import Comparison, cell_text
from napari_tincture.widgets._align_layers import warnings_of
from napari_tincture.widgets._columns import Columns
from napari_tincture.widgets._figures_model import FiguresModel
from napari_tincture.widgets._form import Folding, Level, Message, Wrapped, row
from napari_tincture.widgets._histogram import Histogram

_KINDS = "CSV (*.csv);;Markdown (*.md);;LaTeX (*.tex);;Report (*.html);;Report (*.pdf)"
_NOTHING = np.zeros(0, np.float32)
FEW_ROWS, MOST_ROWS = 4, 14
"""Rows of the table that are seen in a low window, and in a high one."""
_NOTES_SHOWN = 2
"""Notes that are shown without being asked for."""


class Result(QWidget):
    """Shown once there is a comparison."""

    chosen = Signal()
    """Another cell is current: `row` and `column` say which."""
    visit = Signal()
    """Someone wants to see the region of the current row."""
    worst = Signal()
    """Someone wants to see the worst place."""
    save = Signal(str)
    """Someone wants a file."""

    def __init__(self) -> None:
        super().__init__()
        self.model = FiguresModel(self)
        self.table = _Table(self.model)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy the table, for a spreadsheet")
        self.save_button = QPushButton("Save…")
        self.save_button.setToolTip("Save as CSV, Markdown, LaTeX, or as a report: HTML, PDF")
        self.worst_button = QPushButton("Worst place")
        self.worst_button.setToolTip("Show where the chosen row's image differs most")
        self.histogram = Histogram()
        self.warned = Message()
        self.spread = Wrapped()
        self.spread.setToolTip("Mean ± standard deviation over the rows of an image")
        self._note_text = Wrapped()
        self.notes = Folding("Notes", self._note_text, tooltip="What to know of the figures")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        buttons = row([self.copy_button, self.save_button, self.worst_button])
        for widget in (self.warned, self.table, self.spread, buttons, self.histogram, self.notes):
            layout.addWidget(widget)
        self.copy_button.clicked.connect(lambda _: self.copy())
        self.save_button.clicked.connect(lambda _: self._ask_for_file())
        self.worst_button.clicked.connect(lambda _: self.worst.emit())
        self.table.clicked.connect(lambda _: self.visit.emit())
        self.table.moved.connect(self._on_current)
        self.table.copied.connect(self.copy)
        self.show_found(None)

    @property
    def row(self) -> dict[str, Any] | None:
        """The current row of the comparison."""
        index = self.table.currentIndex()
        return self.model.row_at(index.row()) if index.isValid() else None

    @property
    def column(self) -> str | None:
        """The current column if there is a map of it, else the first one that there is."""
        index, found = self.table.currentIndex(), self.model.found
        if not index.isValid() or found is None:
            return None
        image = self.model.row_at(index.row())["image"]
        mapped = [column for name, column in found.maps if name == image]
        name = self.model.columns[index.column()]
        return name if name in mapped else next(iter(mapped), None)

    def show_found(self, found: Comparison | None) -> None:
        """Show a comparison; None hides everything."""
        self.setVisible(found is not None)
        self.histogram.show_values(_NOTHING, "")
        self.model.show(found)
        if found is None:
            return
        self.table.fit()
        warned = warnings_of(found.settings.get("alignment", {}))
        self.warned.show_text(Level.NOTE, "\n".join(warned))
        notes = [note for note in found.notes if note not in warned]
        self._note_text.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))
        self.notes.summarise(str(len(notes)))
        self.notes.unfolded = len(notes) <= _NOTES_SHOWN
        self.worst_button.setVisible(bool(found.maps))
        self.worst_button.setToolTip("Move the camera to where the map of this row is worst")
        self.table.setCurrentIndex(self.model.index(0, 0))

    def copy(self) -> None:
        """Put the table on the clipboard."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.model.as_tsv(self.table.columns.seen))

    def _on_current(self) -> None:
        self._say_spread()
        self.chosen.emit()

    def _say_spread(self) -> None:
        """Sum up the current column where an image has several rows."""
        index, found = self.table.currentIndex(), self.model.found
        lines = []
        if found is not None and index.isValid() and found.figures:
            name = self.model.columns[index.column()]
            name = name if name in found.figures else found.figures[0]
            lines = [
                f"{line['image']}: {name} {cell_text(line[name])} ± {cell_text(line[f'{name} sd'])}"
                for line in found.summary()
                if line["rows"] > 1
            ]
        self.spread.setText("\n".join(lines))
        self.spread.setVisible(bool(lines))

    def _ask_for_file(self) -> None:
        path, kind = QFileDialog.getSaveFileName(self, "Save the comparison", "", _KINDS)
        if path:
            self.save.emit(with_suffix(path, kind))


class _Table(QTableView):
    """As high as its rows, within limits."""

    moved = Signal()
    """Another cell is current."""
    copied = Signal()

    def __init__(self, model: FiguresModel) -> None:
        super().__init__()
        self._model = model
        self._header, self._side = (QHeaderView(way, self) for way in Qt.Orientation)
        self._bar = QScrollBar(Qt.Orientation.Horizontal, self)
        self.setModel(model)
        self.setHorizontalHeader(self._header)
        self.setVerticalHeader(self._side)
        self.setHorizontalScrollBar(self._bar)
        self.setSortingEnabled(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self._side.hide()
        self._side.setDefaultSectionSize(self.fontMetrics().height() + 6)
        self._header.setSectionsClickable(True)
        self._header.setMinimumSectionSize(36)
        self._header.setToolTip("Click to sort; right-click to choose columns")
        self.columns = Columns(self._header)

    def fit(self) -> None:
        """Give every column the width that it needs, names not more than a third of the table."""
        self.columns.take(self._model.columns)
        self._header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.resizeColumnsToContents()
        self.setColumnWidth(0, min(self.columnWidth(0), max(110, self.width() // 3)))
        self.updateGeometry()

    def currentChanged(self, current: Any, previous: Any) -> None:  # noqa: N802 - Qt's name
        """Tell of another cell."""
        super().currentChanged(current, previous)
        self.moved.emit()

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Copy the whole table: Qt would copy one cell."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copied.emit()
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Ask for the height of all rows, or many."""
        return QSize(200, self._height(min(max(1, self._model.rowCount()), MOST_ROWS)))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Be content with a few rows."""
        return QSize(120, self._height(min(max(1, self._model.rowCount()), FEW_ROWS)))

    def _height(self, rows: int) -> int:
        around = self._header.sizeHint().height() + 2 * self.frameWidth()
        return int(rows * self._side.defaultSectionSize() + around + self._bar.sizeHint().height())


def with_suffix(path: str, kind: str) -> str:
    """A file name with the ending of the chosen kind, unless it has one that means something."""
    known = (".csv", ".md", ".tex", ".html", ".htm", ".pdf")
    if path.lower().endswith(known):
        return path
    return path + kind.partition("(*")[2].rstrip(")")
