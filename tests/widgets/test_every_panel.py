"""What every panel of the manifest keeps to: words for each control, room on a small screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QTableView,
    QWidget,
)

import napari_tincture
from napari_tincture.models.shipped import VARIABLE

MANIFEST = yaml.safe_load((Path(napari_tincture.__file__).parent / "napari.yaml").read_text())
PANELS = [each["display_name"] for each in MANIFEST["contributions"]["widgets"]]
TALLEST, WIDEST = 900, 420
"""Pixels that a small screen has for a panel."""
CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit)


@pytest.fixture(params=PANELS)
def panel(
    plain_viewer: Any, request: pytest.FixtureRequest, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> QWidget:  # fmt: skip
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    plain_viewer.add_image(np.zeros((64, 64), np.uint8), name="an image")
    _, panel = plain_viewer.window.add_plugin_dock_widget("napari-tincture", request.param)
    QApplication.processEvents()
    return panel


def controls(panel: QWidget) -> list[QWidget]:
    found = [each for each in panel.findChildren(QWidget) if isinstance(each, CONTROLS)]
    # The field within a spin box or an editable drop-down is a part of it.
    # So is the corner of a table.
    parts = (QAbstractSpinBox, QComboBox, QTableView)
    return [each for each in found if not isinstance(each.parent(), parts)]


def test_a_panel_is_for_everybody(panel: QWidget) -> None:
    """A tooltip for every control, each reached by the keyboard, on a small screen."""
    silent, out_of_reach = [], []
    for each in controls(panel):
        name = f"{type(each).__name__} {each.toolTip() or getattr(each, 'text', str)()!r}"
        silent += [] if each.toolTip() else [name]
        out_of_reach += [] if each.focusPolicy() & Qt.FocusPolicy.TabFocus else [name]
    assert "\n".join(silent) == ""
    assert "\n".join(out_of_reach) == ""
    smallest = panel.minimumSizeHint()
    assert smallest.height() <= TALLEST
    assert smallest.width() <= WIDEST
