"""How far a live result is, in words, and on the canvas."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_tincture.tiling.backend import LiveStatus

MARGIN = 36
"""Pixels to the edges of the canvas, above the sliders."""


def legend_text(status: LiveStatus) -> str:
    """Say how far a live result is.

    Returns
    -------
    str
        One line: tiles done, tiles queued and the seconds that they take, and what else a person
        should know.
    """
    parts = [f"{status.done} of {status.total} tiles"]
    if status.queued:
        left = "" if status.seconds is None else f", {_duration(status.seconds)} for the screen"
        parts.append(f"{status.queued} queued{left}")
    if status.overview:
        parts.append("zoom in to compute more")
    if status.finishing:
        parts.append("computing the rest")
    if status.sampled:
        parts.append("values of the whole image from samples, to be refined")
    if status.problem:
        parts.append(status.problem)
    return " · ".join(parts)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class Legend(QLabel):
    """A line at the lower edge of the canvas, above those of other live layers.

    Not an overlay of napari: that is one for all, and drawing its text takes longer than a tile.

    Parameters
    ----------
    canvas : QWidget
        What it lies on.
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setStyleSheet(
            "background: rgba(0, 0, 0, 150); color: white; padding: 2px 6px; border-radius: 3px;"
        )
        canvas.installEventFilter(self)
        self.hide()

    def show_status(self, status: LiveStatus | None) -> None:
        """Write how far it is; nothing for None."""
        text = "" if status is None else f"live: {legend_text(status)}"
        if text == self.text():
            return
        self.setText(text)
        self.adjustSize()
        self.setVisible(bool(text))
        self._arrange()

    def end(self) -> None:
        """Leave the canvas."""
        self.hide()
        self._arrange()
        self._canvas.removeEventFilter(self)
        self.setParent(None)
        self.deleteLater()

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        """Stay at the lower edge."""
        if event.type() == QEvent.Type.Resize:
            self._arrange()
        return False

    def _arrange(self) -> None:
        canvas = self._canvas
        bottom = canvas.height() - MARGIN
        for legend in canvas.findChildren(Legend):
            if not legend.isHidden():
                bottom -= legend.height()
                legend.move(MARGIN, bottom)
                legend.raise_()
