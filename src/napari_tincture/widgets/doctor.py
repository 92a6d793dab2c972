"""The panel that looks at an installation, and hands out the commands that mend it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtWidgets import QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_tincture.errors import WorkerError
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.widgets._background import Background, was_cancelled
from napari_tincture.widgets._clipboard import copy_text
from napari_tincture.widgets._form import Level, Message, Scrolling, row
from napari_tincture.widgets._gone import when_gone

COMMAND = (sys.executable, "-P", "-m", "napari_tincture.cli", "doctor", "--json")
_POLL = 0.2
"""Seconds between looks at whether somebody has cancelled."""


class DoctorPanel(QWidget):
    """Says what `napari_tincture.doctor` finds, in a process of its own; its fields are public.

    Parameters
    ----------
    napari_viewer : napari.Viewer, optional
        Given by napari; not used.
    """

    def __init__(self, napari_viewer: Any = None) -> None:
        super().__init__()
        del napari_viewer
        self.found: list[dict[str, Any]] = []
        self.status = Message()
        self.again_button = QPushButton("Look again")
        self.again_button.setToolTip("Versions, Qt, devices, memory, speed, exactness and disks")
        self.copy_button = QPushButton("Copy report")
        self.copy_button.setToolTip("All lines as text, for a question to others")
        self._lines = QWidget()
        QVBoxLayout(self._lines).setSpacing(4)
        layout = QVBoxLayout(self)
        layout.addWidget(row([self.again_button, self.copy_button]))
        layout.addWidget(self.status)
        layout.addWidget(Scrolling(self._lines))
        self.looking = Background("tincture-doctor")
        self.looking.finished.connect(self._show)
        self.looking.failed.connect(self._on_failed)
        when_gone(self, self.looking.drop)
        self.again_button.clicked.connect(lambda _: self.look())
        self.copy_button.clicked.connect(lambda _: copy_text("\n".join(map(line_of, self.found))))
        self.look()

    def look(self) -> None:
        """Look at the installation; takes some seconds, in which everything else goes on."""
        self.again_button.setEnabled(False)
        self.copy_button.setEnabled(False)
        self.status.show_text(Level.NOTE, "Looking, some seconds …")
        self.looking.start(_diagnosis)

    def _show(self, found: Sequence[Mapping[str, Any]]) -> None:
        self.found = [dict(each) for each in found]
        layout = self._lines.layout()
        assert layout is not None
        while (item := layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for each in self.found:
            layout.addWidget(_line(each))
        wrong = sum(not each["well"] for each in self.found)
        text = f"{wrong} to mend, see → below." if wrong else "All is well."
        self._end(Level.PROBLEM if wrong else Level.READY, text)

    def _on_failed(self, error: Exception) -> None:
        if not was_cancelled(error):
            self._end(Level.PROBLEM, str(error))

    def _end(self, level: Level, text: str) -> None:
        self.status.show_text(level, text)
        self.again_button.setEnabled(True)
        self.copy_button.setEnabled(bool(self.found))


def _diagnosis(_: Progress, cancel: CancelToken) -> list[dict[str, Any]]:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while True:
            try:
                told, errors = process.communicate(timeout=_POLL)
                break
            except subprocess.TimeoutExpired:
                if cancel.cancelled:
                    process.kill()
    cancel.check()
    try:
        found: list[dict[str, Any]] = json.loads(told)
    except ValueError:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        raise WorkerError(f"The installation could not be looked at: {last}") from None
    return found


def line_of(finding: Mapping[str, Any]) -> str:
    """A finding in one line."""
    remedy = f" → {finding['remedy']}" if finding["remedy"] else ""
    return f"{'ok' if finding['well'] else 'FAIL'}  {finding['name']}: {finding['found']}{remedy}"


def _line(finding: Mapping[str, Any]) -> QWidget:
    message = Message()
    text = f"{finding['name']}: {finding['found']}"
    remedy = finding["remedy"]
    if not remedy:
        message.show_text(Level.READY, text)
        return message
    message.show_text(Level.PROBLEM, f"{text}\n→ {remedy}")
    copy = QToolButton()
    copy.setText("Copy")
    copy.setToolTip("Copy the command that mends it")
    copy.clicked.connect(lambda _: copy_text(remedy))
    return row([message, copy])
