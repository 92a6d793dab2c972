"""What panels share that watch the viewer as long as a window shows them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._layers import LayerWatch


class Docked(QWidget):
    """A panel that hears of its viewer while it is in a window, and of nothing while it is not."""

    viewer: Any
    _hub: JobHub
    _watch: LayerWatch

    def _wake(self) -> None:
        self._watch.start()
        self._hub.open_panel(id(self))

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Hear nothing while in no window: napari closes a dock by taking the panel out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self._watch.stop()
                self._hub.close_panel(id(self))
            else:
                self._wake()
        super().changeEvent(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Learn which window the panel is in."""
        if (window := self.window()) is not None:
            self._hub.follow(window, self.viewer)
        super().showEvent(event)
