"""What is to be done once Qt has deleted a widget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Slot  # type: ignore[attr-defined]

# Python may collect a widget before Qt deletes it, and with it every function connected to it: Qt
# would call none of them, or what is left of one, which ends the process. Only a slot that Qt
# itself knows is called for sure, while somebody else keeps its object.
_WAITING: set[_Waiting] = set()


class _Waiting(QObject):
    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__()
        self._action = action

    @Slot()  # type: ignore[untyped-decorator]
    def act(self) -> None:
        _WAITING.discard(self)
        self._action()


def when_gone(widget: QObject, action: Callable[[], Any]) -> None:
    """Call `action`, which must not know the widget, once Qt has deleted it."""
    waiting = _Waiting(action)
    _WAITING.add(waiting)
    widget.destroyed.connect(waiting.act)
