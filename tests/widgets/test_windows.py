"""Jobs end with the window of their viewer, and with nothing that merely looks like its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QTimer
from qtpy.QtWidgets import QDialog, QDockWidget, QMainWindow

from napari_tincture.widgets import _jobs
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._windows import Windows
from napari_tincture.widgets.stain import StainPanel
from napari_tincture.worker.jobs import State

PATIENCE = 90_000
Open = Callable[..., Any]


@pytest.fixture
def hub(fake_hub: JobHub, monkeypatch: pytest.MonkeyPatch) -> JobHub:
    """A hub whose worker runs fake tasks."""
    monkeypatch.setattr(_jobs, "_HUBS", [fake_hub])
    return fake_hub


def settle(qtbot: Any) -> None:
    """What Qt does when it is back in its event loop."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qtbot.wait(1)


@pytest.mark.slow
def test_a_panel_that_floated_takes_no_job_with_it(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: dict[str, Path]
) -> None:
    viewer.add_image(np.zeros((9000, 8), np.uint8))
    panel = open_panel(StainPanel, model_paths["stain"])
    other = open_panel(StainPanel, model_paths["stain"])
    panel.task = "endless"
    job = panel.run()
    qtbot.waitUntil(lambda: job.done > 0, timeout=PATIENCE)
    for each in (panel, other):
        dock = each.parentWidget()
        assert isinstance(dock, QDockWidget)
        dock.setFloating(True)
        qtbot.waitUntil(lambda each=each, dock=dock: each.window() is dock)
        qtbot.waitExposed(each)
        dock.hide()
        dock.show()
        dock.setFloating(False)
    panel.parentWidget().close()  # napari's button that hides it
    other.parentWidget().destroyOnClose()  # and the one that closes it
    settle(qtbot)
    done = job.done
    qtbot.waitUntil(lambda: job.done > done + 3 or job.state.final, timeout=PATIENCE)
    assert job.state is State.RUNNING
    viewer.close()
    qtbot.waitUntil(lambda: job.state.final, timeout=PATIENCE)
    assert job.state is State.CANCELLED


class Asking(QMainWindow):
    """A window that asks in a dialog before it closes, as napari's does."""

    answer, asked = True, 0

    def closeEvent(self, event: Any) -> None:
        dialog = QDialog(self)
        QTimer.singleShot(20, dialog.accept)
        dialog.exec()
        self.asked += 1
        event.setAccepted(self.answer)
        if not self.answer:
            self.showMinimized()

    def try_to_close(self, qtbot: Any, *, answer: bool) -> None:
        """Close it as a person does: from the event loop."""
        self.answer, asked = answer, self.asked
        QTimer.singleShot(0, self.close)
        qtbot.waitUntil(lambda: self.asked > asked and self.isHidden() == answer)


@pytest.fixture
def asking(qtbot: Any) -> tuple[Asking, list[str]]:
    """A window that is followed, and what is told of it."""
    told: list[str] = []
    window = Asking()
    window.windows = Windows(told.append)
    window.windows.follow(window, "viewer")
    window.show()
    qtbot.waitExposed(window)
    return window, told


def test_a_window_that_is_kept_open_may_be_hidden_and_made_small(
    qtbot: Any, asking: tuple[Asking, list[str]]
) -> None:
    window, told = asking
    window.try_to_close(qtbot, answer=False)
    settle(qtbot)
    window.showNormal()
    window.hide()
    window.show()
    assert not told
    window.try_to_close(qtbot, answer=True)
    assert told == ["viewer"]
    window.deleteLater()
    settle(qtbot)


def test_a_closed_window_is_told_of_once_and_at_once(
    qtbot: Any, asking: tuple[Asking, list[str]]
) -> None:
    window, told = asking
    window.showMinimized()
    window.try_to_close(qtbot, answer=True)
    assert told == ["viewer"]
    window.deleteLater()
    settle(qtbot)
    assert told == ["viewer"]
