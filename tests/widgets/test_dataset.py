"""A data set of a folder of label maps, from the Synthesize panel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from painters import label_map
from panels import copied, finish

import napari_tincture as nt
from napari_tincture.io.png import write_png
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._derive_row import EACH
from napari_tincture.widgets.synthesize import SynthesizePanel

Open = Callable[..., Any]
BOUNDS = {"elastic": 4, "move": 12, "objects": 1, "turn": 180.0, "resize": 1.25}


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    folder = tmp_path / "maps"
    for number in range(2):
        write_png(folder / f"m{number}.png", label_map(48, 64 + 16 * number))
    return folder


@pytest.fixture
def panel(open_panel: Open, painter: Path, maps: Path) -> Any:
    """The panel, set to make a data set of derived maps."""
    found = open_panel(SynthesizePanel, painter)
    found.sampling.steps.setValue(2)
    found.batch.images.setText(str(maps))
    found.batch.results.setText(str(maps.parent / "set"))
    found.batch.unfolded = True
    found.batch.dataset.setChecked(True)
    found.batch.count.setValue(2)
    found.batch.derived.setChecked(True)
    found.derive.bend.setValue(4)
    found.derive.moved.setValue(12)
    found.derive.turned.setChecked(True)
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_the_button_makes_what_python_makes(
    qtbot: Any, panel: Any, painter: Path, maps: Path, tmp_path: Path
) -> None:
    panel.batch.button.click()
    finish(qtbot, panel._job)
    assert panel._job.summary == "4 done."
    expected = tmp_path / "expected"
    nt.make_dataset(maps, painter, expected, variants=2, derive=BOUNDS, steps=2, sampler="ddim")
    made = files_of(maps.parent / "set")
    assert len(made) == 8
    assert made == files_of(expected)
    record = json.loads((maps.parent / "set" / "dataset.json").read_text())
    assert record["derive"] == BOUNDS
    panel.batch.count.setValue(3)
    panel.batch.button.click()
    finish(qtbot, panel._job)
    assert panel._job.summary == "2 done, 4 skipped."


def test_the_recipe_is_shown_and_run_again(
    viewer: Any, panel: Any, maps: Path, tmp_path: Path
) -> None:
    recipe = panel.recipe._recipe()
    assert Recipe.load(recipe.to_json()) == recipe
    code = copied(panel.recipe.python)
    assert "nt.make_dataset(" in code
    assert copied(panel.recipe.command).startswith("napari-tincture run ")
    exec(code, {})
    again = tmp_path / "again"
    assert nt.run(recipe.replace(save_to=str(again))).summary == "4 done."
    assert files_of(again) == files_of(maps.parent / "set")

    panel.batch.dataset.setChecked(False)
    panel.batch.derived.setChecked(False)
    for box in (panel.batch.count, panel.derive.bend, panel.derive.moved):
        box.setValue(1)
    viewer.add_labels(label_map(), name="map")
    panel.show_recipe(recipe, ["map"])
    assert panel.recipe._recipe() == recipe


def test_how_maps_are_derived_must_fit_the_controls(viewer: Any, panel: Any) -> None:
    viewer.add_labels(label_map(), name="map")
    panel.refresh()
    panel.derive.objects.value = EACH
    panel.batch.button.click()
    assert "moves objects by number" in panel.message.text()
    panel.derive.objects.value = 1
    recipe = panel.recipe._recipe().with_settings(derive={"elastic": 2.5})
    with pytest.raises(nt.InputError, match="no controls for"):
        panel.show_recipe(recipe, ["map"])


def test_without_a_data_set_a_folder_gives_an_image_each(panel: Any) -> None:
    panel.batch.dataset.setChecked(False)
    assert panel._batch_settings().task == "synthesize"
    assert panel.batch.count.isHidden()
    assert not panel.batch.replace.isHidden()
