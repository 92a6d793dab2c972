"""Which columns of a table are seen: a menu of its header."""

from __future__ import annotations

import re
from functools import partial

from qtpy.QtCore import QObject, QPoint, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHeaderView, QMenu

_SELDOM = re.compile(r"count_difference|\w+_75|ap_50|matched_iou_50|[sr]q|(rand|voi)_\w+")
"""Figures of objects that not every reader wants."""


class Columns(QObject):
    """Hides columns of a table; the first is always seen.

    Parameters
    ----------
    header
        Of the table; a right click on it gives the menu.
    """

    changed = Signal()
    """A person has shown or hidden a column."""

    def __init__(self, header: QHeaderView) -> None:
        super().__init__(header)
        self.chosen: dict[str, bool] = {}
        self.names: list[str] = []
        self._header = header
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._ask)

    @property
    def seen(self) -> list[str]:
        """Names of the columns that are not hidden."""
        return [name for name in self.names if self._is_seen(name)]

    def take(self, names: list[str]) -> None:
        """Hide of other columns what a person has hidden, or seldom wants."""
        self.names = names
        for number, name in enumerate(names):
            self._header.setSectionHidden(number, not self._is_seen(name))

    def menu(self) -> QMenu:
        """Make the menu, an entry per column."""
        menu = QMenu(self._header)
        for name in self.names[1:]:
            action = menu.addAction(name)
            assert action is not None
            action.setCheckable(True)
            action.setChecked(self._is_seen(name))
            action.toggled.connect(partial(self._choose, name))
        return menu

    def _is_seen(self, name: str) -> bool:
        return name in self.names[:1] or self.chosen.get(name, not _SELDOM.fullmatch(name))

    def _choose(self, name: str, seen: bool) -> None:
        self.chosen[name] = seen
        self._header.setSectionHidden(self.names.index(name), not seen)
        self.changed.emit()

    def _ask(self, place: QPoint) -> None:
        menu = self.menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self._header.mapToGlobal(place))
