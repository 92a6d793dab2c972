"""Training a model from two layers in a real window, as a person does it, and staining with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

import napari_tincture as nt
from napari_tincture.models.shipped import library_folder
from napari_tincture.training.begun import list_begun
from napari_tincture.widgets._form import Level
from napari_tincture.widgets.stain import StainPanel
from napari_tincture.widgets.train import TrainPanel
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


def cells(seed: int) -> np.ndarray:
    """Blobs on noise, (160, 180) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :180]
    image = rng.normal(20, 4, (160, 180))
    for cy, cx in rng.uniform(10, 150, (20, 2)):
        image += 120 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 60)
    return image.clip(0, 255).astype(np.uint8)


def press(qtbot: Any, button: Any) -> None:
    assert button.isEnabled()
    qtbot.mouseClick(button, LEFT)


def test_from_two_layers_to_a_stain(qtbot: Any, viewer: Any, library: Path) -> None:
    source = viewer.add_image(cells(0), name="grey", **PLACED)
    viewer.add_image(255 - cells(1), name="stained")
    panel = TrainPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Train")
    stain = StainPanel(viewer)
    viewer.window.add_dock_widget(stain, name="Stain", tabify=True)
    panel.raise_()
    qtbot.waitUntil(lambda: panel.form.ready, timeout=PATIENCE)

    # What to learn from, and how.
    panel.form.family.value, panel.form.preset.value = "cyclegan", "tiny"
    panel.sides.a.layers.ticked = [source]
    panel.sides.b.layers.ticked = [viewer.layers["stained"]]
    panel.form.data.widgets["crop"].setText("32")
    panel.form.learning.widgets["steps"].setText("500")
    panel.form.intervals.widgets["preview_every"].setText("2")
    panel.form.intervals.widgets["validate_every"].setText("4")
    panel.form.name.setText("grey to stained")
    panel.refresh()
    assert panel.message.text() == "Ready: 1 layer → 1 layer."

    # It runs, is held, and shows itself in the place of its source.
    press(qtbot, panel.runner.train_button)
    job = panel._job
    qtbot.waitUntil(lambda: len(panel.previews.shown.layers) == 1, timeout=PATIENCE)
    press(qtbot, panel.runner.pause_button)
    qtbot.waitUntil(lambda: job.paused, timeout=PATIENCE)
    done = job.done
    assert 0 < done < 500
    qtbot.waitUntil(lambda: panel.runner.pause_button.text() == "Resume", timeout=PATIENCE)
    assert panel.runner.progress.text() == f"step {done} of 500, paused"
    assert panel.runner.losses.curves["G_A"][-1, 0] == done
    (preview,) = panel.previews.shown.layers
    assert preview.name == "grey-to-stained preview"
    assert np.ptp(preview.data) > 0
    offset = source.world_to_data(preview.data_to_world((0, 0)))
    np.testing.assert_allclose(offset, np.round(offset), atol=1e-6)
    np.testing.assert_allclose(preview.scale, source.scale)
    assert viewer.layers.selection.active is not preview

    # Stopped without a model, it goes on from its checkpoint.
    press(qtbot, panel.runner.cancel_button)
    qtbot.waitUntil(lambda: job.state is State.CANCELLED, timeout=PATIENCE)
    qtbot.waitUntil(lambda: panel.begun.isVisibleTo(panel), timeout=PATIENCE)
    assert [(each.name, each.step) for each in list_begun()] == [("grey-to-stained", done)]
    assert not list(library.glob("*.safetensors"))
    before = preview.data
    press(qtbot, panel.begun.resume_button)
    again = panel._job
    qtbot.waitUntil(lambda: bool(again.figures and again.shown), timeout=PATIENCE)
    assert again.losses["G_A"][0][0] <= done, "the curve begins where the first run did"
    press(qtbot, panel.runner.stop_button)
    qtbot.waitUntil(lambda: again.state.final, timeout=PATIENCE)
    assert again.state is State.FINISHED, again.error
    assert done < again.done < 500
    assert panel.previews.shown.layers == [preview]
    assert not np.array_equal(preview.data, before)
    assert panel.runner.status.level is Level.READY

    # Stain offers the model at once.
    offered = [stain.model.choice.itemData(i) for i in range(stain.model.choice.count())]
    assert "grey-to-stained" in offered
    stain.model.choose("grey-to-stained")
    stain.layer.value = "grey"
    stain.refresh()
    count = len(viewer.layers)
    press(qtbot, stain.runner.run_button)
    qtbot.waitUntil(lambda: len(viewer.layers) > count, timeout=PATIENCE)
    expected = np.asarray(nt.stain(source, nt.load_model("grey-to-stained")))
    np.testing.assert_allclose(viewer.layers[-1].data, expected, atol=1e-4)
