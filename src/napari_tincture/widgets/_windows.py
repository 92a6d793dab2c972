"""Which window a viewer is shown in, and when that is gone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QDockWidget, QWidget

from napari_tincture.widgets._gone import when_gone
from napari_tincture.widgets._viewer import bare


def window_of(viewer: Any, panel: QWidget) -> QWidget:
    """The window of a viewer that has this panel, also while the panel's dock floats."""
    own = getattr(getattr(bare(viewer), "window", None), "_qt_window", None)
    window = panel.window() if own is None else own
    while isinstance(window, QDockWidget) and (parent := window.parentWidget()) is not None:
        window = parent.window()
    return window or panel


class Windows(QObject):
    """Calls back with a viewer as soon as its window was closed, or is destroyed."""

    def __init__(self, on_gone: Callable[[Any], Any]) -> None:
        super().__init__()
        self._on_gone = on_gone
        self._viewers: dict[int, Any] = {}
        self._closing: set[int] = set()

    def follow(self, window: QWidget, viewer: Any) -> None:
        """Watch the window of a viewer; once is enough."""
        if id(window) not in self._viewers:
            self._viewers[id(window)] = viewer
            window.installEventFilter(self)
            when_gone(window, partial(self._tell, id(window)))

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        """Notice at once that a window was closed: it is destroyed only later."""
        if event.type() == QEvent.Type.Close:
            self._await_answer(id(watched))
        # It is spontaneous if somebody makes the window small.
        elif event.type() == QEvent.Type.Hide and not event.spontaneous():
            self._on_hidden(id(watched))
        return False

    def _on_hidden(self, window: int) -> None:
        if window in self._closing:
            self._tell(window)

    def _await_answer(self, window: int) -> None:
        """Take a window as closing until what was asked of the person is answered."""
        self._closing.add(window)
        # Qt hides a window that may close before it is through with the event, and deletes what is
        # to be deleted later only afterwards: not in the event loop of napari's question, where a
        # timer would go off.
        through = QObject(self)
        when_gone(through, partial(self._closing.discard, window))
        through.deleteLater()

    def _tell(self, window: int) -> None:
        viewer = self._viewers.pop(window, None)
        self._closing.discard(window)
        if viewer is not None:
            self._on_gone(viewer)
