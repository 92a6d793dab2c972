"""How far a panel's live layer is, and what else can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tincture.widgets._form import Wrapped
from napari_tincture.widgets._legend import legend_text

if TYPE_CHECKING:
    from napari_tincture.widgets._live import LiveView


class LiveRow(QWidget):
    """A line about the live layer, and two buttons; hidden while there is none."""

    save = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._view: LiveView | None = None
        self.text = Wrapped()
        self.finish_button, self.save_button = (
            QPushButton("Finish in background"),
            QPushButton("Save…"),
        )
        self.finish_button.setCheckable(True)
        self.finish_button.setToolTip("Compute the rest, whenever the screen has what it needs")
        self.save_button.setToolTip("Write all of it to a file, with the same numbers")
        self.finish_button.clicked.connect(self._on_finish)
        self.save_button.clicked.connect(lambda _: self.save.emit())
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.finish_button, self.save_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.hide()

    @property
    def view(self) -> LiveView | None:
        """The live layer that is shown, while it is open."""
        return self._view

    def follow(self, view: LiveView) -> None:
        """Show a live layer from now on."""
        self.leave()
        self._view = view
        view.changed.connect(self._update)
        view.closed.connect(self.leave)
        self._update()
        self.show()

    def leave(self) -> None:
        """Show none."""
        if self._view is not None:
            self._view.changed.disconnect(self._update)
            self._view.closed.disconnect(self.leave)
            self._view = None
        self.hide()

    def _update(self) -> None:
        if self._view is not None:
            status = self._view.status
            self.text.setText(legend_text(status))
            self.finish_button.setChecked(status.finishing)
            self.finish_button.setEnabled(status.done < status.total)

    def _on_finish(self, wanted: bool) -> None:
        if self._view is not None:
            self._view.finish(wanted)
