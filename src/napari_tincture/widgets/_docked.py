"""What panels share that watch the viewer as long as a window shows them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

from napari_tincture.widgets._jobs import JobHub, job_hub
from napari_tincture.widgets._layers import LayerWatch
from napari_tincture.widgets._viewer import bare
from napari_tincture.widgets._windows import window_of


class Docked(QWidget):
    """A panel that hears of its viewer while it is in a window, and of nothing while it is not.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    hub
        Runs the jobs; that of the session unless a test gives its own.
    """

    _watch: LayerWatch

    def __init__(self, napari_viewer: Any, hub: JobHub | None = None) -> None:
        super().__init__()
        self.viewer = bare(napari_viewer)
        self._hub = hub or job_hub()

    def _wake(self) -> None:
        self._watch.start()
        self._hub.open_panel(id(self))

    def _sleep(self) -> None:
        self._watch.stop()
        self._hub.close_panel(id(self))

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Hear nothing while in no window: napari closes a dock by taking the panel out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self._sleep()
            else:
                self._wake()
        super().changeEvent(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Learn which window the viewer is in."""
        self._hub.follow(window_of(self.viewer, self), self.viewer)
        super().showEvent(event)
