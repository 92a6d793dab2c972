"""How often the values of a map occur, as bars."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_tincture.tasks.comparison import cell_text

BARS = 64
HEIGHT = 84
"""Pixels."""
_COLOUR = QColor(70, 130, 180)


class Histogram(QWidget):
    """Bars from the least to the greatest value; beyond 99.8 % of the values, none."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.counts: np.ndarray = np.zeros(0, int)
        self.limits = (0.0, 1.0)
        self.caption = ""
        self.show_values(np.zeros(0), "")

    def show_values(self, values: np.ndarray, caption: str) -> None:
        """Show finite values; none hides the bars."""
        self.caption = caption
        self.counts = np.zeros(0, int)
        if values.size:
            low, high = np.percentile(values, (0.1, 99.9))
            self.limits = (float(low), float(high if high > low else low + 1.0))
            self.counts, _ = np.histogram(values, BARS, self.limits)
        self.setToolTip(f"{caption}: {values.size:,} values" if values.size else caption)
        self.setVisible(bool(caption))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Ask for a fixed height."""
        return QSize(120, HEIGHT)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Insist on it."""
        return QSize(60, HEIGHT)

    def paintEvent(self, _: Any) -> None:  # noqa: N802 - Qt's name
        """Draw the bars between the caption and the ends of the axis."""
        painter = QPainter(self)
        line = self.fontMetrics().height() + 1
        painter.setPen(self.palette().color(self.foregroundRole()))
        mode = Qt.TextElideMode.ElideMiddle
        caption = self.fontMetrics().elidedText(self.caption, mode, self.width())
        painter.drawText(QRectF(0, 0, self.width(), line), Qt.AlignmentFlag.AlignLeft, caption)
        if not self.counts.size:
            return
        room = QRectF(0, line, self.width(), self.height() - 2 * line)
        self._draw_bars(painter, room)
        ends = QRectF(0, self.height() - line, self.width(), line)
        low, high = map(cell_text, self.limits)
        painter.drawText(ends, Qt.AlignmentFlag.AlignLeft, low)
        painter.drawText(ends, Qt.AlignmentFlag.AlignRight, high)

    def _draw_bars(self, painter: QPainter, room: QRectF) -> None:
        # Roots: a few bad windows among many good ones are what one looks for.
        heights = np.sqrt(self.counts / max(self.counts.max(), 1)) * room.height()
        width = room.width() / len(heights)
        for number, height in enumerate(heights):
            bar = QRectF(room.left() + number * width, room.bottom() - height, width, height)
            painter.fillRect(bar, _COLOUR)
        painter.drawLine(room.bottomLeft(), room.bottomRight())
