"""Running panels of a real window as a person does, and looking at the layers that come."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtWidgets import QApplication

from napari_tincture.worker.jobs import Job, State

PATIENCE = 90_000
"""Milliseconds until a test gives up waiting."""


def cells(*leading: int, side: int = 150, seed: int = 0) -> np.ndarray:
    """Blobs on noise, uint8: something with an inside and an outside."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, : side + 20]
    image = rng.normal(20, 4, (*leading, side, side + 20))
    for cy, cx in rng.uniform(10, side - 10, (12, 2)):
        image += 120 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 60)
    return image.clip(0, 255).astype(np.uint8)


def finish(qtbot: Any, job: Job) -> None:
    qtbot.waitUntil(lambda: job.state.final, timeout=PATIENCE)
    assert job.state is State.FINISHED, job.error


def run(qtbot: Any, viewer: Any, panel: Any) -> list[Any]:
    """Run a panel as a click does; give the new layers."""
    before = list(viewer.layers)
    panel.refresh()
    assert panel.runner.run_button.isEnabled(), panel.message.text()
    panel.runner.run_button.click()
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: len(viewer.layers) > len(before), timeout=PATIENCE)
    return [layer for layer in viewer.layers if layer not in before]


def copied(action: Any) -> str:
    """What an action of a menu puts on the clipboard."""
    clipboard = QApplication.clipboard()
    clipboard.setText("")
    action.trigger()
    return str(clipboard.text())


def same_place(layer: Any, source: Any) -> None:
    """The layers' pixels have the same places in the world, and the same units and labels."""
    n = layer.ndim
    matrix = np.asarray(layer._data_to_world.affine_matrix)
    expected = np.asarray(source._data_to_world.affine_matrix)
    take = [*range(source.ndim - n, source.ndim + 1)]
    np.testing.assert_allclose(matrix, expected[np.ix_(take, take)], atol=1e-9)
    assert layer.units == source.units[-n:]
    assert layer.axis_labels == source.axis_labels[-n:]
