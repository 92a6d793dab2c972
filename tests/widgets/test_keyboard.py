"""Stain with the keyboard alone: from the choice of layer and model to the new layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from panels import cells, finish
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_tincture.widgets.stain import StainPanel

MOST = 60
"""Presses of Tab within which every control is reached."""


class Keys:
    """Somebody without a mouse."""

    def __init__(self, qtbot: Any, window: QWidget) -> None:
        self.qtbot, self.window = qtbot, window
        window.activateWindow()
        qtbot.waitUntil(lambda: QApplication.focusWidget() is not None)

    @property
    def focus(self) -> QWidget:
        found = QApplication.focusWidget()
        assert found is not None
        return found

    def press(self, key: Qt.Key) -> None:
        QTest.keyClick(self.focus, key)

    def tab_to(self, wanted: QWidget) -> None:
        for _ in range(MOST):
            if self.focus is wanted:
                return
            self.press(Qt.Key.Key_Tab)
        raise AssertionError(f"Tab never reaches {wanted.toolTip()!r}.")

    def choose(self, choice: Any, value: Any) -> None:
        """Walk a drop-down with the arrows."""
        self.tab_to(choice)
        for _ in range(choice.count()):
            self.press(Qt.Key.Key_Up)
        for _ in range(choice.count()):
            if choice.value == value:
                return
            self.press(Qt.Key.Key_Down)
        raise AssertionError(f"The arrows never reach {value!r}.")


def test_stain_from_selection_to_result(
    qtbot: Any, viewer: Any, model_paths: dict[str, Path], open_panel: Callable[..., Any]
) -> None:
    viewer.add_image(cells(), name="wanted", axis_labels=("y", "x"))
    viewer.add_image(cells(seed=2), name="other", axis_labels=("y", "x"))
    viewer.window._qt_window.show()
    panel: StainPanel = open_panel(StainPanel, model_paths["stain"], layer="other")
    keys = Keys(qtbot, viewer.window._qt_window)
    panel.layer.setFocus()
    keys.choose(panel.layer, "wanted")
    keys.choose(panel.model.choice, "phase-to-dapi")
    keys.choose(panel.model.choice, str(model_paths["stain"]))
    keys.tab_to(panel.runner.run_button)
    qtbot.waitUntil(panel.runner.run_button.isEnabled)
    keys.press(Qt.Key.Key_Space)
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3)
    assert viewer.layers[-1].name == "wanted grey"
    assert viewer.layers[-1].data.any()
