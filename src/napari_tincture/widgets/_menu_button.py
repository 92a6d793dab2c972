"""A button that opens a menu."""

from __future__ import annotations

from qtpy.QtWidgets import QMenu, QToolButton


class MenuButton(QToolButton):
    """A press shows the menu, whose entries have tooltips."""

    def __init__(self, text: str, tooltip: str) -> None:
        super().__init__()
        self.setText(text)
        self.setToolTip(tooltip)
        # napari draws the arrow of the menu over the text otherwise.
        self.setStyleSheet("QToolButton { padding-right: 14px; }")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.entries = QMenu(self)
        self.entries.setToolTipsVisible(True)
        self.setMenu(self.entries)
