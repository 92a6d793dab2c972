"""Where a model is brought from: a file, an address, or an id of BioImage.IO."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLineEdit, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_tincture.errors import InputError
from napari_tincture.io.fetch_model import Fetched, fetch_model
from napari_tincture.io.model_source import ENDINGS, is_source
from napari_tincture.widgets._background import Background, in_panel, was_cancelled
from napari_tincture.widgets._form import Level, Message, row
from napari_tincture.widgets._gone import when_gone
from napari_tincture.widgets._progress_bar import ProgressBar

MEGABYTE = 1_000_000
KILOBYTE = 1_000
"""Bytes: Qt counts to two thousand millions."""


class SourceRow(QWidget):
    """A field, what it needs for the net, and how far a download is."""

    came = Signal(object)
    """A `Fetched` lies on this computer."""
    browsing = Signal()
    """A file is to be chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.field, self.sha256 = QLineEdit(), QLineEdit()
        self.field.setPlaceholderText("File, https://…, or BioImage.IO id")
        self.field.setToolTip(
            f"A file ({', '.join(ENDINGS)}) or folder, its address, or an id such as "
            "affable-shark; files can also be dropped here"
        )
        self.sha256.setPlaceholderText("SHA-256, if you know it")
        self.sha256.setToolTip("A download with another hash is refused; of an id: of its rdf.yaml")
        self.browse, self.button = QToolButton(), QPushButton("Import")
        self.browse.setText("…")
        self.browse.setToolTip("Choose a file")
        self.button.setToolTip("Bring it, and show what it is before it becomes a model")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop; what came is kept, and Import goes on from there")
        self.bar, self.message = ProgressBar(), Message()
        self._under_way = row([self.bar, self.cancel_button])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (row([self.field, self.browse, self.button]), self.sha256, self._under_way):
            layout.addWidget(widget)
        layout.addWidget(self.message)
        self.loading = Background("tincture-download")
        self._connect()
        self._refresh()
        self.message.show_text(Level.NOTE, "")

    def bring(self, source: str = "") -> None:
        """Take what the field names, or a source that is put there."""
        if source:
            self.field.setText(source)
        text = self.field.text().strip()
        path = Path(text).expanduser()
        if text and path.exists():
            self.message.show_text(Level.READY, "")
            self.came.emit(Fetched(path))
        elif is_source(text):
            wanted = self.sha256.text().strip() or None
            self.message.show_text(Level.NOTE, "Reaching the server …")
            self.loading.start(partial(_fetch, text, wanted))
        else:
            problem = f"There is no file {text}; expected one, or an address, or an id."
            self.message.show_text(Level.PROBLEM, problem)
        self._refresh()

    def tell(self, level: Level, text: str) -> None:
        """Say what became of it."""
        self.message.show_text(level, text)

    def _connect(self) -> None:
        self.field.textChanged.connect(lambda _: self._refresh())
        self.field.returnPressed.connect(self.button.click)
        self.button.clicked.connect(lambda _: self.bring())
        self.browse.clicked.connect(lambda _: self.browsing.emit())
        self.cancel_button.clicked.connect(lambda _: self._cancel())
        self.loading.progressed.connect(self._on_progress)
        self.loading.finished.connect(self._on_came)
        self.loading.failed.connect(self._on_failed)
        when_gone(self, self.loading.drop)

    def _cancel(self) -> None:
        self.loading.cancel()
        self.message.show_text(Level.NOTE, "Stopping, as soon as the server says something …")

    def _refresh(self) -> None:
        text, busy = self.field.text().strip(), self.loading.running
        self.button.setEnabled(bool(text) and not busy)
        self.sha256.setVisible(is_source(text))
        self._under_way.setVisible(busy)

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.show_done(done // KILOBYTE, total // KILOBYTE)
        of = f" of {total / MEGABYTE:,.1f}" if total else ""
        self.message.show_text(Level.NOTE, f"Downloading: {done / MEGABYTE:,.1f}{of} MB")

    def _on_came(self, came: Fetched) -> None:
        self._refresh()
        self.message.show_text(Level.READY, "")
        self.came.emit(came)

    def _on_failed(self, error: Exception) -> None:
        self._refresh()
        if was_cancelled(error):
            self.message.show_text(Level.NOTE, "Cancelled; Import goes on from there.")
        else:
            self.message.show_text(Level.PROBLEM, in_panel(error))


def _fetch(source: str, sha256: str | None, progress: Any, cancel: Any) -> Fetched:
    try:
        return fetch_model(source, sha256=sha256, progress=progress, cancel=cancel)
    except OSError as error:  # of the library's folder
        raise InputError(f"{source} cannot be brought: {error}") from error
