"""Painting a label map with the mouse, drawing it, and repainting it, in a real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from painters import denoiser, label_map
from panels import PATIENCE, finish, same_place
from qtpy.QtCore import QCoreApplication, QEvent, QPoint, Qt
from skimage.io import imsave

import napari_tincture as nt
from napari_tincture.widgets._form import Level
from napari_tincture.widgets.synthesize import SynthesizePanel, synthesize_layer
from napari_tincture.worker.jobs import State

Open = Callable[..., Any]
SIDE = 64


def stroke(qtbot: Any, viewer: Any, layer: Labels, ends: tuple[Any, Any]) -> None:
    """Press, drag and release the left button from one pixel of a layer to another."""
    canvas = viewer.window._qt_viewer.canvas
    places = []
    for y, x in np.linspace(*ends, 6):
        position = layer.data_to_world((y, x))[-2:]
        at = canvas.view.scene.transform.map([*position[::-1], 0, 1])
        places.append(QPoint(int(at[0] / at[3]), int(at[1] / at[3])))
    native, left = canvas.native, Qt.MouseButton.LeftButton
    qtbot.mousePress(native, left, pos=places[0])
    for place in places[1:]:
        qtbot.mouseMove(native, place)
    qtbot.mouseRelease(native, left, pos=places[-1])


def test_a_map_is_painted_drawn_and_repainted(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path
) -> None:
    panel = open_panel(SynthesizePanel, painter)
    assert "New map" in panel.message.text()
    panel.map.height_.setValue(SIDE)
    panel.map.width_.setValue(SIDE)
    panel.map.new_button.click()
    panel.sampling.steps.setValue(3)
    panel.refresh()
    (layer,) = viewer.layers
    assert isinstance(layer, Labels)
    assert panel.layer.value == layer.name
    assert layer.data.shape == (SIDE, SIDE)

    # Keys choose classes: the third one has value 4.
    viewer.window._qt_viewer.canvas.native.setFocus()
    qtbot.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_3)
    assert layer.selected_label == 4
    assert layer.mode == "paint"
    assert layer.get_status((0, 0))["value"] is not None
    layer.brush_size = 6
    stroke(qtbot, viewer, layer, ((10, 10), (10, 50)))
    assert (layer.data == 4).sum() > 60

    panel.refresh()
    panel.runner.run_button.click()
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)
    image = viewer.layers[0]
    assert isinstance(image, Image)
    assert viewer.layers.selection.active is layer
    assert layer.opacity < 0.5
    same_place(image, layer)
    expected = np.asarray(nt.synthesize(layer.data.copy(), painter, steps=3))
    np.testing.assert_array_equal(image.data, expected)

    qtbot.waitUntil(lambda: panel.repaint_button.isEnabled(), timeout=PATIENCE)
    panel.margin.setValue(8)
    qtbot.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_2)
    before, painted = image.data.copy(), layer.data.copy()
    stroke(qtbot, viewer, layer, ((40, 30), (40, 36)))
    changed = layer.data != painted
    assert (layer.data[changed] == 1).all()
    panel.repaint_button.click()
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: (image.data != before).any(), timeout=PATIENCE)
    assert list(viewer.layers) == [image, layer]
    rows, columns = np.nonzero(changed)
    differ = image.data != before
    differ[rows.min() - 8 : rows.max() + 9, columns.min() - 8 : columns.max() + 9] = False
    assert not differ.any()


def test_unknown_classes_are_told_and_mapped_before_the_run(
    viewer: Any, open_panel: Open, painter: Path
) -> None:
    labels = np.where(label_map() == 4, 7, label_map())
    viewer.add_labels(labels, name="map")
    panel = open_panel(SynthesizePanel, painter, layer="map")
    assert panel.message.level is Level.PROBLEM
    assert "7 (" in panel.message.text()
    assert not panel.runner.run_button.isEnabled()
    panel.mapping.rows[7].value = "wall"
    panel.refresh()
    assert panel.message.level is not Level.PROBLEM
    assert panel.plan().settings.options["classes"] == {"7": "wall"}
    viewer.layers["map"].data = label_map()
    panel.refresh()
    assert not panel.mapping.rows
    assert "classes" not in panel.plan().settings.options


def test_a_map_shows_itself_in_the_classes_colours_and_keeps_what_it_has(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path
) -> None:
    plain = viewer.add_labels(label_map(), name="plain")
    own = viewer.add_labels(label_map(), name="own", features={"index": [1], "area": [7.0]})
    panel = open_panel(SynthesizePanel, painter, layer="plain")
    panel.sampling.steps.setValue(2)
    finish(qtbot, panel.run())
    np.testing.assert_allclose(plain.get_color(4)[:3], to_rgb("#54a24b"), atol=0.01)
    # Colours that somebody chose stay, and so do features when a class is painted.
    plain.colormap = DirectLabelColormap(color_dict={None: "black", 1: "white"})
    finish(qtbot, panel.run())
    np.testing.assert_allclose(plain.get_color(1)[:3], (1, 1, 1))
    panel.layer.value = "own"
    panel.refresh()
    panel.map.paint(4)
    assert list(own.features["area"]) == [7.0]


def test_a_model_shows_how_it_draws_best(
    viewer: Any, open_panel: Open, painter: Path, tmp_path: Path
) -> None:
    viewer.add_labels(label_map(), name="map")
    best = {"sampler": "dpm_solver", "steps": 7, "guidance": 1.5}
    other = denoiser(usual=best)
    path = other.with_card(other.card.replace(name="other")).save(tmp_path / "other.safetensors")
    panel = open_panel(SynthesizePanel, painter, layer="map")
    assert (panel.sampling.sampler.value, panel.sampling.steps.value()) == ("ddim", 40)
    panel.model.choose(str(path))
    panel.refresh()
    assert {name: panel.options()[name] for name in best} == best
    # What a person changes stays as long as the model does.
    panel.sampling.steps.setValue(5)
    panel.refresh()
    assert panel.options()["steps"] == 5
    # A panel that is opened again shows what was chosen; another model brings its own.
    panel.sampling.sampler.value = "ddim"
    panel.sampling.guidance.setValue(2.5)
    panel.refresh()
    chosen = panel.options()
    again = open_panel(SynthesizePanel, path)
    assert again.options() == chosen
    assert chosen["guidance"] == 2.5
    again.model.choose(str(painter))
    again.refresh()
    assert again.options()["guidance"] == 1.0


def test_other_settings_are_drawn_and_not_repainted(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path
) -> None:
    viewer.add_labels(label_map(), name="map")
    panel = open_panel(SynthesizePanel, painter, layer="map")
    panel.sampling.steps.setValue(2)
    panel.refresh()
    assert not panel.repaint_button.isEnabled()
    panel.runner.run_button.click()
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: panel.repaint_button.isEnabled(), timeout=PATIENCE)
    panel.sampling.seed.setValue(9)
    panel.refresh()
    assert not panel.repaint_button.isEnabled()
    panel.runner.run_button.click()
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=PATIENCE)


def test_cancelling_leaves_no_half_drawn_image(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path
) -> None:
    viewer.add_labels(label_map(200, 200), name="map")
    panel = open_panel(SynthesizePanel, painter, layer="map")
    panel.sampling.steps.setValue(100)
    panel.refresh()
    panel.runner.run_button.click()
    job = panel._job
    qtbot.waitUntil(lambda: job.previews > 0 and len(viewer.layers) == 2, timeout=PATIENCE)
    panel.runner.cancel_button.click()
    qtbot.waitUntil(lambda: job.state.final, timeout=PATIENCE)
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=PATIENCE)
    assert job.state is State.CANCELLED
    assert [layer.name for layer in viewer.layers] == ["map"]


def test_an_image_is_repainted_into_a_file(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path, tmp_path: Path
) -> None:
    layer = viewer.add_labels(label_map(24, 520), name="map")  # a file of two levels
    panel = open_panel(SynthesizePanel, painter, layer="map")
    panel.sampling.steps.setValue(2)
    panel.refresh()
    panel.runner.run_button.click()
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: panel.repaint_button.isEnabled(), timeout=PATIENCE)
    layer.data[4:12, 500:510] = 4
    layer.refresh()
    panel.output.kind.value = "file"
    panel.output.path.setText(str(tmp_path / "drawn.ome.zarr"))
    panel.refresh()
    panel.repaint_button.click()
    job = panel._job
    finish(qtbot, job)
    qtbot.waitUntil(lambda: viewer.layers[0].multiscale, timeout=PATIENCE)
    assert [each.name for each in viewer.layers] == ["map painter", "map"]
    expected = np.asarray(nt.open_image(tmp_path / "drawn.ome.zarr"))
    np.testing.assert_array_equal(np.asarray(viewer.layers[0].data[0]), expected)
    qtbot.waitUntil(lambda: not panel.runner.cancel_button.isEnabled(), timeout=PATIENCE)


def test_scripts_do_what_the_panel_does(qtbot: Any, viewer: Any, painter: Path) -> None:
    layer = viewer.add_labels(label_map(), name="map")
    job = synthesize_layer(viewer, layer, str(painter), options={"steps": 2, "seed": 4})
    finish(qtbot, job)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)
    expected = np.asarray(nt.synthesize(label_map(), painter, steps=2, seed=4))
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)


@pytest.mark.slow
def test_a_folder_of_maps_becomes_a_folder_of_images(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path, tmp_path: Path
) -> None:
    (tmp_path / "maps").mkdir()
    for number in range(2):
        imsave(tmp_path / "maps" / f"{number}.png", label_map(seed=number), check_contrast=False)
    panel = open_panel(SynthesizePanel, painter)
    panel.sampling.steps.setValue(2)
    panel.batch.images.setText(str(tmp_path / "maps"))
    panel.batch.results.setText(str(tmp_path / "images"))
    panel.batch.button.click()
    finish(qtbot, panel._job)
    assert panel._job.summary == "2 done."
    for number in range(2):
        made = np.asarray(nt.open_image(tmp_path / "images" / f"{number}.ome.zarr"))
        expected = np.asarray(nt.synthesize(label_map(seed=number), painter, steps=2))
        np.testing.assert_array_equal(made, expected)


@pytest.mark.slow
def test_several_variants_of_a_map_are_layers_named_by_their_seeds(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path
) -> None:
    layer = viewer.add_labels(label_map(), name="map")
    panel = open_panel(SynthesizePanel, painter, layer="map")
    panel.sampling.steps.setValue(2)
    panel.sampling.seed.setValue(5)
    panel.sampling.variants.setValue(3)
    panel.refresh()
    panel.runner.run_button.click()
    for job in panel._jobs:
        finish(qtbot, job)
    names = {f"map painter seed {seed}": seed for seed in (5, 6, 7)}
    qtbot.waitUntil(
        lambda: {each.name for each in viewer.layers} == {layer.name, *names}, timeout=PATIENCE
    )
    for name, seed in names.items():
        expected = np.asarray(nt.synthesize(label_map(), painter, steps=2, seed=seed))
        np.testing.assert_array_equal(viewer.layers[name].data, expected)
    # The shown seed is the one that can be repainted.
    qtbot.waitUntil(lambda: panel.repaint_button.isEnabled(), timeout=PATIENCE)
    panel.sampling.variants.setValue(1)
    panel.refresh()
    assert panel.repaint_button.isEnabled()


@pytest.mark.slow
def test_cancel_stops_all_variants(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path
) -> None:
    viewer.add_labels(label_map(200, 200), name="map")
    panel = open_panel(SynthesizePanel, painter, layer="map")
    panel.sampling.steps.setValue(100)
    panel.sampling.variants.setValue(3)
    panel.refresh()
    panel.runner.run_button.click()
    jobs = list(panel._jobs)
    qtbot.waitUntil(lambda: jobs[0].previews > 0, timeout=PATIENCE)
    panel.runner.cancel_button.click()
    qtbot.waitUntil(lambda: all(job.state.final for job in jobs), timeout=PATIENCE)
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=PATIENCE)
    assert not any(job.result for job in jobs)


@pytest.mark.slow
def test_a_panel_that_is_opened_again_cancels_what_it_had_begun(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path
) -> None:
    layer = viewer.add_labels(label_map(200, 200), name="map")
    first = open_panel(SynthesizePanel, painter, layer="map")
    first.sampling.steps.setValue(100)
    first.sampling.variants.setValue(2)
    first.run()
    jobs = first._jobs
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)  # half drawn
    viewer.window.remove_dock_widget(first)
    first.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    second = open_panel(SynthesizePanel, painter)
    assert second.runner.bar.isVisibleTo(second)
    assert "1 waiting" in second.runner.progress.text()
    second.runner.cancel_button.click()
    qtbot.waitUntil(lambda: all(job.state.final for job in jobs), timeout=PATIENCE)
    assert [job.state for job in jobs] == [State.CANCELLED] * 2
    qtbot.waitUntil(lambda: list(viewer.layers) == [layer], timeout=PATIENCE)
    assert not second.runner.cancel_button.isEnabled()
