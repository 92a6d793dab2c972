"""The panel that looks at the installation."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from panels import PATIENCE
from qtpy.QtWidgets import QApplication, QToolButton

from napari_tincture.widgets import doctor
from napari_tincture.widgets._form import Level
from napari_tincture.widgets.doctor import DoctorPanel

FOUND = [
    {"name": "torch", "found": "2.9", "well": True, "remedy": ""},
    {"name": "Qt", "found": "no binding", "well": False, "remedy": "pip install PyQt6"},
]


def program(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(doctor, "COMMAND", (sys.executable, "-c", code))


def test_findings_are_shown_and_commands_copied(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, f"print({json.dumps(FOUND)!r})")
    panel = DoctorPanel()
    qtbot.addWidget(panel)
    assert not panel.again_button.isEnabled()
    qtbot.waitUntil(panel.again_button.isEnabled, timeout=PATIENCE)
    assert panel.found == FOUND
    assert panel.status.level is Level.PROBLEM
    assert "1 to mend" in panel.status.text()
    (copy,) = panel._lines.findChildren(QToolButton)
    copy.click()
    assert QApplication.clipboard().text() == "pip install PyQt6"
    panel.copy_button.click()
    assert QApplication.clipboard().text().splitlines() == [
        "ok  torch: 2.9", "FAIL  Qt: no binding → pip install PyQt6"
    ]  # fmt: skip
    program(monkeypatch, f"print({json.dumps(FOUND[:1])!r})")
    panel.again_button.click()
    qtbot.waitUntil(panel.again_button.isEnabled, timeout=PATIENCE)
    assert panel.status.text() == "All is well."


def test_a_broken_installation_is_told_and_a_closed_panel_ends_it(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, "raise ImportError('torch is broken')")
    panel = DoctorPanel()
    qtbot.addWidget(panel)
    qtbot.waitUntil(panel.again_button.isEnabled, timeout=PATIENCE)
    assert "ImportError: torch is broken" in panel.status.text()
    program(monkeypatch, "import time; time.sleep(1000)")
    panel.look()
    looking = panel.looking
    qtbot.wait(300)
    looking.drop()
    qtbot.waitUntil(lambda: not looking.alive, timeout=PATIENCE)
