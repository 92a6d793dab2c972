"""What a panel shows, as Python, as a command and as a file: the same bytes from all."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panels import copied, finish, same_place
from qtpy.QtWidgets import QFileDialog

import napari_tincture as nt
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._form import Level
from napari_tincture.widgets.compare import ComparePanel
from napari_tincture.widgets.stain import StainPanel

Open = Callable[..., Any]


@pytest.fixture
def scan(viewer: Any, tmp_path: Path) -> Any:
    """A layer of an image on disk."""
    image = np.random.default_rng(0).integers(0, 4000, (70, 60)).astype(np.uint16)
    path = nt.Raster.from_array(image, "yx", name="scan").save(tmp_path / "scan.ome.zarr")
    data, options, _ = nt.open_image(path).to_layer()
    return viewer.add_image(data, **options)


@pytest.mark.slow
def test_panel_python_command_and_file_give_the_same_bytes(
    qtbot: Any, viewer: Any, scan: Any, open_panel: Open, model_paths: dict[str, Path],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    panel = open_panel(StainPanel, model_paths["stain"], layer=scan.name)
    panel.more.device.value = "cpu"
    targets = {
        name: tmp_path / f"{name}.ome.zarr" for name in ("panel", "python", "command", "file")
    }

    def aim(name: str) -> None:
        panel.output.kind.value = "file"
        panel.output.path.setText(str(targets[name]))
        panel.refresh()

    aim("panel")
    finish(qtbot, panel.run())
    aim("python")
    code = copied(panel.recipe.python)
    assert "Copied as Python" in panel.runner.status.text()
    assert "viewer" not in code
    assert f"image = nt.open_image({scan.source.path or str(tmp_path / 'scan.ome.zarr')!r})" in code
    exec(code, {})
    aim("command")
    name, *words = shlex.split(copied(panel.recipe.command))
    assert name == "napari-tincture"
    program = [sys.executable, "-m", "napari_tincture.cli", *words]
    subprocess.run(program, check=True, capture_output=True, timeout=300)
    aim("file")
    file = tmp_path / "mine.recipe.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(file), ""))
    panel.recipe.file.trigger()
    assert panel.runner.status.text() == "Saved mine.recipe.json."
    nt.run(file)
    made = [
        {
            str(each.relative_to(root)): each.read_bytes()
            for each in root.rglob("*")
            if each.is_file()
        }
        for root in targets.values()
    ]
    assert len(made[0]) > 2
    assert all(other == made[0] for other in made[1:])


def test_a_layer_in_memory_is_named_in_python_and_has_no_command(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: dict[str, Path]
) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (40, 50)).astype(np.uint16)
    layer = viewer.add_image(image, name="it's", axis_labels=("y", "x"), scale=(0.5, 0.5))
    panel = open_panel(StainPanel, model_paths["stain"], layer=layer.name)
    code = copied(panel.recipe.python)
    assert 'viewer.layers["it\'s"]' in code
    finish(qtbot, panel.run())
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    (expected,) = (each for each in viewer.layers if each is not layer)
    exec(code, {"viewer": viewer})
    found = viewer.layers[-1]
    assert found is not expected
    np.testing.assert_array_equal(np.asarray(found.data), np.asarray(expected.data))
    same_place(found, expected)
    assert copied(panel.recipe.command) == ""
    assert "in memory" in panel.runner.status.text()
    assert panel.runner.status.level is Level.PROBLEM


def test_what_is_missing_is_said(viewer: Any, open_panel: Open, model_paths: Any) -> None:
    panel = open_panel(StainPanel, model_paths["stain"])
    assert copied(panel.recipe.python) == ""
    assert "Open an image" in panel.runner.status.text()


def test_further_layers_and_options_are_in_the_recipe(
    viewer: Any, scan: Any, open_panel: Open, model_paths: dict[str, Path], tmp_path: Path
) -> None:
    panel = open_panel(StainPanel, model_paths["stain"], layer=scan.name)
    panel.more.seams.value = "blend"
    panel.more.context.value = "exact"
    found = panel.recipe._recipe()
    assert found.settings["seams"] == "blend"
    assert found.settings["context"] == "exact"
    assert Recipe.load(found.to_json()) == found
    found.check()
    # A layer that was moved lies elsewhere than its file says, and the recipe knows.
    scan.translate = (3, 4)
    panel.refresh()
    moved = nt.run(panel.recipe._recipe().replace(save_to=""))
    assert tuple(moved.translate[-2:]) == (3, 4)


def test_a_comparison_is_copied_with_its_mask(viewer: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    reference = rng.integers(0, 255, (40, 50)).astype(np.uint8)
    noisy = viewer.add_image(reference // 2, name="noisy")
    viewer.add_image(reference, name="real")
    mask = np.zeros((40, 50), np.uint8)
    mask[5:30, 10:40] = 1
    layer = viewer.add_labels(mask, name="inside")
    panel = ComparePanel(viewer)
    panel.form.reference.value = viewer.layers["real"]
    panel.refresh()
    panel.form.images.ticked = [noisy]
    panel.form.masks.value = layer
    panel.refresh()
    code = copied(panel.recipe.python)
    assert "mask=image_3" in code
    scope = {"viewer": viewer}
    exec(code, scope)
    call = panel.call()
    expected = nt.compare(**{**call.arguments, "progress": None})
    assert scope["found"].table == expected.table


def test_a_folder_of_images_is_copied_as_one_line(
    viewer: Any, scan: Any, open_panel: Open, model_paths: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "scans"
    image = np.random.default_rng(3).integers(0, 4000, (40, 30)).astype(np.uint16)
    for name in ("one", "two"):
        nt.Raster.from_array(image, "yx").save(folder / f"{name}.ome.tif")
    panel = open_panel(StainPanel, model_paths["stain"], layer=scan.name)
    panel.batch.unfolded = True
    panel.batch.images.setText(str(folder))
    panel.batch.results.setText(str(tmp_path / "stained"))
    panel.more.seams.value = "blend"
    panel.refresh()
    words = shlex.split(copied(panel.recipe.command))
    assert words[:4] == ["napari-tincture", "stain", str(folder), str(model_paths["stain"])]
    assert "seams=blend" in words
    scope: dict[str, Any] = {}
    exec(copied(panel.recipe.python), scope)
    assert len(scope["report"].done) == 2
    panel.batch.unfolded = False  # what the panel shows now is one layer
    assert not panel.recipe._recipe().folder


def test_a_recipe_that_no_panel_shows_says_how_it_is_run(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer.add_image(np.zeros((9, 9), np.uint8), name="real")
    file = Recipe("compare", (None, None)).save(tmp_path / "mine.recipe.json")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(file), ""))
    panel = ComparePanel(viewer)
    panel.recipe.open.trigger()
    assert panel.runner.status.level is Level.PROBLEM
    assert "napari-tincture run RECIPE" in panel.runner.status.text()
