"""How far a panel's live layer is, and what else can be done with it."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.widgets._form import Wrapped
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._legend import legend_text
from napari_tincture.widgets._live import LiveView
from napari_tincture.widgets._output import ask_path, check_path
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.live_client import LiveLink


class LiveRow(QWidget):
    """A line about the live layer, and two buttons; hidden while there is none."""

    saving = Signal(object)
    """A job was started that writes the live layer to a file."""
    problem = Signal(str)

    def __init__(self, hub: JobHub) -> None:
        super().__init__()
        self._hub = hub
        self._view: LiveView | None = None
        self._live: LiveLink | None = None
        self.text = Wrapped()
        self.finish_button, self.save_button = (
            QPushButton("Finish in background"),
            QPushButton("Save…"),
        )
        self.finish_button.setCheckable(True)
        self.finish_button.setToolTip("Compute the rest, whenever the screen has what it needs")
        self.save_button.setToolTip("Write all of it to a file, with the same numbers")
        self.finish_button.clicked.connect(self._on_finish)
        self.save_button.clicked.connect(self._on_save)
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

    def save(self, path: str) -> Job:
        """Write all of the live layer to a file, with the numbers that it shows.

        Raises
        ------
        TinctureError
            If there is no live layer, or nothing can be written there.
        """
        if self._view is None or self._live is None:
            raise InputError("There is no live layer to save; run the panel with output 'live'.")
        settings = replace(
            self._live.settings,
            save_to=check_path(path, replace=False),
            values=self._view.pyramid.values,
        )
        job = self._hub.start(self._view.viewer, settings, self._live.inputs)
        self.saving.emit(job)
        return job

    def follow(self, live: LiveLink, view: LiveView) -> None:
        """Show a live layer from now on."""
        self.leave()
        self._view, self._live = view, live
        view.changed.connect(self._update)
        view.closed.connect(self.leave)
        self._update()
        self.show()

    def leave(self) -> None:
        """Show none."""
        if self._view is not None:
            self._view.changed.disconnect(self._update)
            self._view.closed.disconnect(self.leave)
            self._view = self._live = None
        self.hide()

    def _update(self) -> None:
        if self._view is not None:
            status = self._view.status
            self.text.setText(legend_text(status))
            self.finish_button.setChecked(status.finishing)
            self.finish_button.setEnabled(status.done < status.total)

    def _on_save(self, _: bool) -> None:
        if path := ask_path(self, ""):
            try:
                self.save(path)
            except TinctureError as error:
                self.problem.emit(str(error))

    def _on_finish(self, wanted: bool) -> None:
        if self._view is not None:
            self._view.finish(wanted)
