"""Painting and training in a real window, as a person does it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from cells import discs
from panels import run, same_place
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QInputDialog

import napari_tincture as nt
from napari_tincture.models.shipped import library_folder
from napari_tincture.widgets import _lesson
from napari_tincture.widgets.segment import SegmentPanel
from napari_tincture.worker.jobs import State

pytestmark = pytest.mark.slow

PATIENCE = 90_000
LEFT = Qt.MouseButton.LeftButton
PLACED = {"scale": (0.5, 0.5), "translate": (7, -3), "units": ("um", "um"), "rotate": 20}


@pytest.fixture
def library() -> Iterator[Path]:
    """The library of this session, which the workers know, too; empty again afterwards."""
    yield library_folder()
    shutil.rmtree(library_folder())


def press(qtbot: Any, button: Any) -> None:
    assert button.isEnabled()
    qtbot.mouseClick(button, LEFT)


def on_canvas(viewer: Any, layer: Any, pixel: tuple[float, float]) -> QPoint:
    """Where a pixel of a layer is on the canvas, which the camera shows upright."""
    scene = viewer.scene if hasattr(viewer, "scene") else viewer
    size = viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size
    world = np.asarray(layer.data_to_world(pixel))
    camera = scene.camera
    y, x = (world - np.asarray(camera.center)[-2:]) * camera.zoom + np.asarray(size) / 2
    return QPoint(round(x), round(y))


def stroke(qtbot: Any, viewer: Any, layer: Any, pixels: list[tuple[float, float]]) -> None:
    """Draw a line through these pixels with the mouse."""
    canvas = viewer.window._qt_viewer.canvas.native
    points = [on_canvas(viewer, layer, pixel) for pixel in pixels]
    qtbot.mousePress(canvas, LEFT, pos=points[0])
    for point in points[1:]:
        qtbot.mouseMove(canvas, pos=point)
    qtbot.mouseRelease(canvas, LEFT, pos=points[-1])


def test_from_strokes_to_a_segmented_layer(
    qtbot: Any, viewer: Any, library: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One that learns in a fifth of the time.
    monkeypatch.setattr(_lesson, "NETWORK", {"depth": 2, "width": 6, "max_width": 8})
    values, objects = discs(3, side=120, count=10)
    image = viewer.add_image(values, name="cells", **PLACED)
    panel = SegmentPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Segment")
    teach = panel.teach
    assert not teach.unfolded
    assert not viewer.keymap
    teach.unfolded = True
    press(qtbot, teach.new_button)
    layer = viewer.layers["cells strokes"]
    same_place(layer, image)
    layer.brush_size = 5
    press(qtbot, teach.train_button)
    lesson = teach.lesson
    qtbot.waitUntil(lambda: lesson.job.begun, timeout=PATIENCE)

    # One class is not enough, and it is said so.
    canvas = viewer.window._qt_viewer.canvas.native
    dark = np.argwhere(objects == 0)
    dark = dark[np.lexsort(dark.T)][::900]
    bright = [tuple(np.argwhere(objects == n).mean(axis=0)) for n in np.unique(objects)[1:4]]
    for place in dark:
        stroke(qtbot, viewer, layer, [tuple(place), (place[0] + 1.0, place[1] + 1.0)])
    assert set(np.unique(layer.data)) == {0, 1}
    qtbot.waitUntil(lambda: "Painted is background" in teach.status.text(), timeout=PATIENCE)
    assert lesson.overlay.layer is None

    # A number key takes the next class, whichever layer has the focus.
    viewer.layers.selection.active = image
    qtbot.keyClick(canvas, Qt.Key.Key_2)
    assert (viewer.layers.selection.active, layer.selected_label, layer.mode) == (
        layer, 2, "paint"
    )  # fmt: skip
    for place in bright[:2]:
        stroke(qtbot, viewer, layer, [place, (place[0], place[1] + 2)])
    assert (layer.data == 2).sum() > 20
    qtbot.waitUntil(lambda: lesson.lag is not None, timeout=PATIENCE)
    overlay = lesson.overlay.layer
    assert (overlay.name, overlay.opacity) == ("prediction", 0.4)
    assert viewer.layers.index(overlay) == viewer.layers.index(layer) - 1
    assert viewer.layers.selection.active is layer
    same_place(overlay, image)  # all of it is on screen
    assert overlay.data.shape == values.shape
    assert lesson.job.pixels == tuple(int((layer.data == value).sum()) for value in (1, 2))

    # Corrections over the prediction are strokes like others, and can be undone.
    before = lesson.job.pixels
    lesson.lag = None
    stroke(qtbot, viewer, layer, [bright[2], (bright[2][0], bright[2][1] + 2)])
    qtbot.waitUntil(lambda: lesson.lag is not None, timeout=PATIENCE)
    assert lesson.job.pixels[1] > before[1]
    layer.undo()
    qtbot.waitUntil(lambda: lesson.job.pixels == before, timeout=PATIENCE)
    press(qtbot, teach.pause_button)
    steps = lesson.job.steps

    # Kept, it segments another, larger layer.
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("my cells", True))
    press(qtbot, teach.keep_button)
    qtbot.waitUntil(lambda: panel.model.name == "my-cells", timeout=PATIENCE)
    assert lesson.job.steps - steps < 30, "it was held"
    large = viewer.add_image(np.tile(values, (2, 2)), name="large", scale=(0.5, 0.5))
    panel.layer.value = "large"
    (found,) = run(qtbot, viewer, panel)
    same_place(found, large)
    expected = np.asarray(nt.segment(large, nt.load_model("my-cells"), output="classes"))
    np.testing.assert_array_equal(found.data, expected)
    assert set(np.unique(found.data)) <= {1, 2}

    # Killed, it says so, and begins again from the strokes.
    psutil.Process(hub.teacher.pid).kill()
    monkeypatch.setattr("napari_tincture.widgets._jobs.show_error", lambda _: None)
    qtbot.waitUntil(lambda: lesson.job.state is State.FAILED, timeout=PATIENCE)
    qtbot.waitUntil(lambda: "strokes are still there" in teach.status.text(), timeout=PATIENCE)
    panel.layer.value = "cells"
    press(qtbot, teach.train_button)
    again = teach.lesson
    assert again is not lesson
    qtbot.waitUntil(lambda: again.job.pixels == before, timeout=PATIENCE)

    # Begun with the kept model, it shows at once what that knows.
    teach.start.value = "my-cells"
    press(qtbot, teach.train_button)
    third = teach.lesson
    assert third is not again
    qtbot.waitUntil(lambda: third.job.steps > 0, timeout=PATIENCE)
    press(qtbot, teach.keep_button)
    qtbot.waitUntil(lambda: panel.model.name != "my-cells", timeout=PATIENCE)
    assert nt.load_model(panel.model.name).card.start == "my-cells: forward"

    # Closed, it ends, and gives the keys back.
    viewer.window.remove_dock_widget(panel)
    QApplication.processEvents()
    assert not viewer.keymap
    assert not layer.keymap
    qtbot.waitUntil(lambda: again.job.state.final and hub.teacher.pid is None, timeout=PATIENCE)
