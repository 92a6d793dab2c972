"""How a layer was made: told, done again, and taken to other layers and folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panels import cells, finish, run
from qtpy.QtWidgets import QApplication, QFileDialog

import napari_tincture as nt
from napari_tincture import samples
from napari_tincture.errors import InputError
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._open_recipe import PANELS
from napari_tincture.widgets.segment import SegmentPanel
from napari_tincture.widgets.stain import StainPanel
from napari_tincture.widgets.synthesize import SynthesizePanel

Open = Callable[..., Any]


@pytest.fixture
def made(viewer: Any) -> Any:
    _, panel = viewer.window.add_plugin_dock_widget("napari-tincture", "How a layer was made")
    return panel


def opened(viewer: Any, name: str) -> Any:
    _, panel = viewer.window.add_plugin_dock_widget("napari-tincture", name)
    return panel


def segmented(qtbot: Any, viewer: Any, model: Path) -> tuple[Any, Any]:
    """An image and its objects, found with settings unlike the usual ones."""
    viewer.add_image(cells(), name="cells", axis_labels=("y", "x"), scale=(0.5, 0.5))
    panel = opened(viewer, "Segment")
    panel.model.choose(str(model))
    panel.chosen.choose("cells")
    panel.sizes.least.setValue(12)
    panel.sizes.most.setValue(4000)
    panel.more.device.value = "cpu"
    (layer,) = run(qtbot, viewer, panel)
    panel.sizes.options = {}
    panel.more.device.value = "auto"
    return panel, layer


def test_run_again_gives_the_same_pixels_after_all_was_changed(
    qtbot: Any, viewer: Any, made: Any, model_paths: dict[str, Path]
) -> None:
    panel, first = segmented(qtbot, viewer, model_paths["segment"])
    viewer.layers["cells"].name = "cells"
    viewer.layers.selection.active = first
    assert "min_size 12" in made.text.toPlainText().replace("\n", " ")
    before = list(viewer.layers)
    made.again_button.click()
    assert made.status.text() == ""
    assert panel.sizes.options == {"min_size": 12, "max_size": 4000, "size_unit": "pixel"}
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: len(viewer.layers) > len(before))
    (second,) = [layer for layer in viewer.layers if layer not in before]
    assert second.data.any()
    np.testing.assert_array_equal(np.asarray(second.data), np.asarray(first.data))
    assert tuple(second.scale) == (0.5, 0.5)


def test_apply_to_another_layer_takes_the_settings_and_not_the_region(
    qtbot: Any, viewer: Any, made: Any, model_paths: dict[str, Path]
) -> None:
    panel, _ = segmented(qtbot, viewer, model_paths["segment"])
    viewer.add_image(cells(seed=4, side=90), name="other", axis_labels=("y", "x"))
    panel.show_box({"y": (0, 80), "x": (10, 100)})
    panel.chosen.choose("cells")
    panel.region.value = "given"
    (part,) = run(qtbot, viewer, panel)
    assert part.data.shape == (80, 90)
    viewer.layers.selection.active = part
    again = made.show_settings()
    assert again.region.value == "given"
    assert again.plan().settings.region == {"y": (0, 80), "x": (10, 100)}
    (action,) = [each for each in made.apply_button.menu().actions() if each.text() == "other"]
    viewer.layers.selection.active = part
    action.trigger()
    assert made.status.text() == ""
    plan = panel.plan()
    assert plan.settings.region is None
    assert plan.sources[0].name == "other"


def test_apply_to_a_folder_unfolds_many_images(
    qtbot: Any, viewer: Any, made: Any, model_paths: dict[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    panel, first = segmented(qtbot, viewer, model_paths["segment"])
    viewer.layers.selection.active = first
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(tmp_path))
    made.apply_button.menu().actions()[-1].trigger()
    assert panel.batch.unfolded
    assert panel.batch.images.text() == str(tmp_path)


def test_what_is_gone_is_named(
    qtbot: Any, viewer: Any, made: Any, model_paths: dict[str, Path]
) -> None:
    _, first = segmented(qtbot, viewer, model_paths["segment"])
    viewer.layers["cells"].name = "others"  # of this name there is none then
    viewer.layers.selection.active = first
    made.again_button.click()
    assert "'cells'" in made.status.text()
    assert "no longer in the viewer" in made.status.text()
    viewer.layers.selection.active = viewer.add_image(np.zeros((9, 9)), name="mine")
    assert not made.again_button.isEnabled()
    assert "Nothing is recorded" in made.status.text()


def test_a_file_that_is_not_open_is_opened(
    qtbot: Any, viewer: Any, made: Any, model_paths: dict[str, Path], tmp_path: Path
) -> None:
    path = nt.Raster.from_array(cells(), "yx", name="scan").save(tmp_path / "scan.ome.zarr")
    stain = nt.stain(path, model_paths["stain"], tile=64, device="cpu")
    layer = nt.open_image(stain.save(tmp_path / "stain.ome.zarr")).add_to(viewer)
    viewer.layers.selection.active = layer
    panel = made.show_settings()
    assert panel.layer.value == "scan"
    assert panel.further.values == {"tile": 64}
    assert "tile = 64" in panel.further.text.text()
    finish(qtbot, panel.run())
    qtbot.waitUntil(lambda: len(viewer.layers) == 3)
    np.testing.assert_array_equal(np.asarray(viewer.layers[-1].data), np.asarray(layer.data))
    panel.further.drop_button.click()
    assert "tile" not in panel.options()


OPTIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "stain": ("stain", {"seams": "blend", "nonfinite": "background", "dtype": "float32"}, "dtype"),
    "segment": (
        "segment",
        {"output": "labels", "augment": "turns", "min_size": 5.0, "size_unit": "pixel", "tile": 96},
        "tile",
    ),
}


@pytest.mark.parametrize("task", OPTIONS)
def test_a_saved_recipe_opened_in_a_panel_says_the_same(
    viewer: Any, model_paths: dict[str, Path], tmp_path: Path, task: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    name, settings, further = OPTIONS[task]
    viewer.add_image(cells(), name="cells", axis_labels=("y", "x"))
    recipe = Recipe(task, (None,), str(model_paths[name]), {"device": "cpu", **settings})
    file = recipe.save(tmp_path / "mine.recipe.json")
    panel = opened(viewer, PANELS[task])
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(file), ""))
    panel.recipe.open.trigger()
    assert panel.message.level is not Level.PROBLEM, panel.message.text()
    told = json.loads(panel._recipe().to_json())["settings"]
    assert {key: told.get(key) for key in settings} == settings
    assert list(panel.further.values) == [further]


def test_a_recipe_of_another_task_opens_its_panel(
    viewer: Any, model_paths: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer.add_image(cells(), name="cells", axis_labels=("y", "x"))
    file = Recipe("segment", (None,), str(model_paths["segment"])).save(tmp_path / "a.json")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(file), ""))
    opened(viewer, "Stain").recipe.open.trigger()
    panels = viewer.window._qt_window.findChildren(SegmentPanel)
    assert [panel.model.name for panel in panels] == [str(model_paths["segment"])]


def test_a_recipe_to_synthesize_is_shown_with_all_its_controls(viewer: Any, tmp_path: Path) -> None:
    samples.tissue_map().crop({"y": slice(0, 64), "x": slice(0, 64)}).add_to(viewer)
    panel: SynthesizePanel = opened(viewer, "Synthesize")
    settings = {"sampler": "ddim", "steps": 7, "seed": 5, "guidance": 2.5, "instances": None}
    recipe = Recipe("synthesize", (None,), "em-tissue", settings)
    panel.show_recipe(recipe, [viewer.layers[-1].name])
    options = panel.plan().settings.options
    assert options | {"sampler": "ddim", "steps": 7, "seed": 5, "guidance": 2.5} == options
    assert panel.further.values == {}


@pytest.mark.parametrize("seed", [2**31 - 1, 2**31, 2**64 - 1])
def test_a_recipe_with_any_seed_is_shown(viewer: Any, seed: int) -> None:
    samples.tissue_map().crop({"y": slice(0, 64), "x": slice(0, 64)}).add_to(viewer)
    panel: SynthesizePanel = opened(viewer, "Synthesize")
    panel.sampling.seed.setValue(7)
    recipe = Recipe("synthesize", (None,), "em-tissue", {"seed": seed})
    panel.show_recipe(recipe, [viewer.layers[-1].name])
    assert panel.plan().settings.options["seed"] == seed
    large = seed > 2**31 - 1
    assert panel.further.values == ({"seed": seed} if large else {})
    assert panel.sampling.seed.isEnabled() == (not large)
    panel.sampling.variants.setValue(2)
    if seed == 2**64 - 1:
        with pytest.raises(InputError, match="last seed"):
            panel.run()
    panel.further.drop_button.click()
    panel.refresh()
    assert panel.sampling.seed.isEnabled()
    assert panel.plan().settings.options["seed"] == panel.sampling.seed.value()


def test_a_region_beyond_the_layer_is_told(viewer: Any, model_paths: dict[str, Path]) -> None:
    viewer.add_image(cells(), name="cells", axis_labels=("y", "x"))
    panel: StainPanel = opened(viewer, "Stain")
    recipe = Recipe(
        "stain", (None,), str(model_paths["stain"]), {"region": {"y": [0, 400], "x": [0, 9]}}
    )
    panel.show_recipe(recipe, ["cells"])
    assert panel.message.level is Level.PROBLEM
    assert "ends at y 400" in panel.message.text()
    assert "150" in panel.message.text()


def test_all_steps_are_copied_as_python(
    qtbot: Any, viewer: Any, made: Any, model_paths: dict[str, Path]
) -> None:
    _, first = segmented(qtbot, viewer, model_paths["segment"])
    viewer.layers.selection.active = first
    made.python_button.click()
    assert "nt.segment(image_1" in QApplication.clipboard().text()
