"""What waits for a widget's end is told of it, whatever Python collected before."""

from __future__ import annotations

import gc
from typing import Any

from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QWidget

from napari_tincture.widgets import _gone
from napari_tincture.widgets._gone import when_gone


def let_go(widget: Any) -> None:
    """Qt's deletion, as after a panel was closed."""
    widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_an_action_runs_once_when_the_widget_is_gone(qtbot: Any) -> None:
    heard: list[str] = []
    waiting = set(_gone._WAITING)
    parent = QWidget()
    qtbot.addWidget(parent)
    child = QWidget(parent)
    when_gone(child, lambda: heard.append("gone"))
    assert not heard
    assert waiting != _gone._WAITING
    let_go(child)
    assert heard == ["gone"]
    assert waiting == _gone._WAITING


class Panel(QWidget):
    """A widget in a cycle with what it waits with, as panels are."""

    def __init__(self, parent: QWidget, heard: list[str]) -> None:
        super().__init__(parent)
        self.itself = self
        self.note = heard.append
        when_gone(self, lambda: heard.append("gone"))


def test_python_may_collect_the_widget_first(qtbot: Any) -> None:
    heard: list[str] = []
    parent = QWidget()
    qtbot.addWidget(parent)
    panel = Panel(parent, heard)
    panel.deleteLater()
    del panel
    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert heard == ["gone"]
