"""Curves of a training, drawn as they come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_tincture.tasks.comparison import cell_text

Points = Sequence[tuple[int, float]]
# Distinct also to those who see no red or no green (Okabe and Ito 2008), on dark and on light.
COLOURS = tuple(
    QColor(name)
    for name in ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#b3a800")
)
DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)
HEIGHT = 130
"""Pixels of the axes."""
BOX = 14
"""Pixels of a colour's sample in the legend."""


class Curves(QWidget):
    """A plot of values against steps, with a legend above it; a click in this hides a curve."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.curves: dict[str, np.ndarray] = {}
        self.hidden: set[str] = set()
        self.log = False
        self.last = 0

    def show_curves(self, curves: Mapping[str, Points], last: int = 0) -> None:
        """Show points (step, value) by name.

        Parameters
        ----------
        last
            Step at the right end of the axis, if no point is beyond it.
        """
        names = list(self.curves)
        self.curves = {name: np.array(points, float) for name, points in curves.items() if points}
        self.last = last
        if list(self.curves) != names:
            self.updateGeometry()
        self.update()

    def set_log(self, log: bool) -> None:
        """Draw values on a logarithmic axis, or a linear one."""
        self.log = log
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Ask for the height of the axes and the legend."""
        return QSize(200, self._legend_height() + HEIGHT)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Insist on the height."""
        return QSize(80, self._legend_height() + HEIGHT)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Ask again: a narrow legend has more lines."""
        super().resizeEvent(event)
        self.updateGeometry()

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Hide or show the curve whose name was clicked."""
        for name, place in self.legend().items():
            if place.contains(QPointF(event.pos())):
                self.hidden ^= {name}
                self.update()

    def legend(self) -> dict[str, QRectF]:
        """Where each curve's name stands."""
        metrics, places = self.fontMetrics(), {}
        x, y, line = 0.0, 0.0, float(metrics.height())
        for name in self.curves:
            width = BOX + 4.0 + metrics.horizontalAdvance(_words(name))
            if x and x + width > self.width():
                x, y = 0.0, y + line
            places[name] = QRectF(x, y, width, line)
            x += width + 10.0
        return places

    def paintEvent(self, _: Any) -> None:  # noqa: N802 - Qt's name
        """Draw the legend, the axes and the curves."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(self.foregroundRole())
        self._draw_legend(painter, text)
        shown = {name: curve for name, curve in self.curves.items() if name not in self.hidden}
        limits = self._limits(list(shown.values()))
        line = self.fontMetrics().height()
        labels = [cell_text(_back(value, self.log)) for value in limits]
        left = max(self.fontMetrics().horizontalAdvance(label) for label in labels) + 6
        top = self._legend_height() + 3
        room = QRectF(left, top, self.width() - left - 1, self.height() - top - line - 2)
        self._draw_axes(painter, text, room, labels)
        painter.setClipRect(room.adjusted(-1, -1, 1, 1))
        for name, curve in shown.items():
            painter.setPen(self._pen(name))
            painter.drawPolyline(self._line(curve, room, limits))

    def _legend_height(self) -> int:
        places = self.legend().values()
        return int(max((place.bottom() for place in places), default=0))

    def _limits(self, curves: Sequence[np.ndarray]) -> tuple[float, float]:
        values = [_scaled(curve[:, 1], self.log) for curve in curves]
        finite = [each[np.isfinite(each)] for each in values]
        joined = np.concatenate(finite) if finite else np.zeros(0)
        if not joined.size:
            return 0.0, 1.0
        low, high = float(joined.min()), float(joined.max())
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def _pen(self, name: str) -> QPen:
        number = list(self.curves).index(name)
        pen = QPen(COLOURS[number % len(COLOURS)], 1.5)
        pen.setStyle(DASHES[number // len(COLOURS) % len(DASHES)])
        return pen

    def _line(self, curve: np.ndarray, room: QRectF, limits: tuple[float, float]) -> QPolygonF:
        right = max(self.last, *(int(each[-1, 0]) for each in self.curves.values()), 1)
        low, high = limits
        x = room.left() + curve[:, 0] / right * room.width()
        y = room.bottom() - (_scaled(curve[:, 1], self.log) - low) / (high - low) * room.height()
        finite = np.isfinite(y)
        points = thinned(x[finite], y[finite])
        if len(points) == 1:  # a dash is seen, a point is not
            points = points + np.array([[-2.0, 0.0], [2.0, 0.0]])
        return QPolygonF([QPointF(*point) for point in points.tolist()])

    def _draw_legend(self, painter: QPainter, text: QColor) -> None:
        grey = QColor(text)
        grey.setAlpha(90)
        for name, place in self.legend().items():
            painter.setPen(self._pen(name))
            middle = place.center().y()
            painter.drawLine(QPointF(place.left(), middle), QPointF(place.left() + BOX, middle))
            painter.setPen(grey if name in self.hidden else text)
            painter.drawText(
                place.adjusted(BOX + 4, 0, 2, 0), Qt.AlignmentFlag.AlignVCenter, _words(name)
            )

    def _draw_axes(
        self, painter: QPainter, text: QColor, room: QRectF, labels: Sequence[str]
    ) -> None:
        grey = QColor(text)
        grey.setAlpha(90)
        painter.setPen(grey)
        painter.drawLine(room.bottomLeft(), room.bottomRight())
        painter.drawLine(room.bottomLeft(), room.topLeft())
        painter.setPen(text)
        line = self.fontMetrics().height()
        right = Qt.AlignmentFlag.AlignRight
        for label, y in zip(labels, (room.bottom() - line, room.top()), strict=True):
            painter.drawText(QRectF(0, y, room.left() - 4, line), right, label)
        last = max([self.last, *(int(each[-1, 0]) for each in self.curves.values())], default=0)
        below = QRectF(room.left(), room.bottom() + 1, room.width(), line)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(below, right, f"step {last:,}")


def thinned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Points (n, 2) of a line with at most four per pixel column: first, least, greatest, last.

    What is drawn of them is what would be drawn of all.
    """
    points = np.stack([x, y], axis=1)
    if len(points) < 4 * (np.ptp(x) + 1 if len(x) else 1):
        return points
    columns = np.floor(x).astype(int)
    starts = np.flatnonzero(np.diff(columns, prepend=columns[0] - 1))
    ends = np.append(starts[1:], len(columns))
    kept: set[int] = set()
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        part = y[start:end]
        kept |= {start, start + int(part.argmin()), start + int(part.argmax()), end - 1}
    return points[sorted(kept)]


def _scaled(values: np.ndarray, log: bool) -> np.ndarray:
    if not log:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = np.log10(values)
    return found


def _back(value: float, log: bool) -> float:
    return float(10.0**value) if log else value


def _words(name: str) -> str:
    return name.replace("_", " ")
