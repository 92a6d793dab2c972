"""Correcting a stain in a real window, as a person does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from translations import fields, small_recipe

import napari_tincture as nt
from napari_tincture.io.open import open_image
from napari_tincture.training.correction_set import Corrections
from napari_tincture.training.translation import TranslationRecipe
from napari_tincture.widgets import _train_again
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._train_again import recipe_to_go_on
from napari_tincture.widgets.correct import CorrectPanel

PATIENCE = 60_000
PLACED = {"scale": (0.5, 0.25), "translate": (7, -3), "units": ("um", "um"), "rotate": 20}


@pytest.fixture
def viewer(plain_viewer: Any) -> Any:
    return plain_viewer


@pytest.fixture
def model(model_paths: dict[str, Path], tmp_path: Path) -> Path:
    """A model in a folder of the user's own, with a recipe."""
    found = nt.load_model(model_paths["stain"])
    recipe = small_recipe("regression", crop=64).to_dict()
    return found.with_card(found.card.replace(recipe=recipe)).save(tmp_path / "own.safetensors")


@pytest.fixture
def layers(viewer: Any, model: Path) -> tuple[Any, Any]:
    values = np.asarray(fields(1, (1, 260, 300))[0])[0]
    image = viewer.add_image(values, name="cells", **PLACED)
    return image, add_stained(viewer, image, model)


def add_stained(viewer: Any, image: Any, model: Path, **settings: Any) -> Any:
    data, options, _ = nt.stain(open_image(image), model, **settings).to_layer()
    return viewer.add_image(np.asarray(data), **options)


def open_panel(viewer: Any) -> CorrectPanel:
    panel = CorrectPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Correct a stain")
    panel.refresh()
    return panel


def keep(qtbot: Any, panel: CorrectPanel) -> None:
    panel.refresh()
    assert panel.keep_button.isEnabled(), panel.message.text()
    panel.keep_button.click()
    qtbot.waitUntil(lambda: not panel.storing.running, timeout=PATIENCE)
    assert not panel.storing.alive or panel.storing._thread.join() is None


@pytest.mark.slow
def test_a_stain_is_painted_on_kept_and_learned_from(
    qtbot: Any, viewer: Any, layers: tuple[Any, Any], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, stained = layers
    panel = open_panel(viewer)
    assert (panel.stained.value, panel.image.value) == (stained.name, image.name)
    assert panel.folder.text() == str(model.with_suffix(".corrections"))
    assert not panel.keep_button.isEnabled()
    assert "Paint" in panel.message.text()
    assert not panel.train_button.isEnabled()

    panel.wrong.click()
    marks = viewer.layers.selection.active
    assert (type(marks).__name__, marks.selected_label, marks.mode) == ("Labels", 2, "paint")
    matrices = [np.asarray(layer._data_to_world.affine_matrix) for layer in (marks, stained)]
    np.testing.assert_allclose(*matrices)
    assert (marks.data.shape, marks.units) == (stained.data.shape, stained.units)
    marks.brush_size = 11
    marks.paint((30, 40), 2)
    panel.right.click()
    assert viewer.layers.selection.active is marks
    marks.paint((200, 250), marks.selected_label)
    green, red = (marks.get_color(label)[:3] for label in (1, 2))
    assert green[1] > max(green[0], green[2])
    assert red[0] > max(red[1], red[2])

    keep(qtbot, panel)
    data = Corrections(panel.folder.text())
    assert panel.message.level is Level.READY
    assert panel.message.text() == f"own.corrections now holds {data.described}."
    counts = [(record.right > 0, record.wrong > 0) for record in data.records()]
    assert sorted(counts) == [(False, True), (True, False)]
    record = next(record for record in data.records() if record.wrong)
    top, bottom, left, right = record.facts["box"]
    stored = np.asarray(open_image(data.path(record, "input"), axes="cyx"))[0]
    np.testing.assert_array_equal(stored, image.data[top:bottom, left:right])
    assert (top, left) == (0, 0)

    panel.refresh()
    shown: list[Any] = []
    opener = lambda viewer, recipe: shown.append((viewer, recipe))  # noqa: E731
    monkeypatch.setattr(_train_again, "open_recipe", opener)
    panel.train_button.click()
    ((seen, recipe),) = shown
    assert seen is viewer
    assert recipe == recipe_to_go_on(str(model), data.folder)
    again = TranslationRecipe.from_dict(recipe)
    assert again.start == str(model)
    assert len(again.data["corrections"]["regions"]) == 2


def test_a_chemical_stain_in_a_layer_is_the_reference(
    qtbot: Any, viewer: Any, layers: tuple[Any, Any]
) -> None:
    image, _ = layers
    viewer.add_image(255 - image.data, name="chemical", **PLACED)
    panel = open_panel(viewer)
    panel.reference.value = "chemical"
    panel.weight.setValue(4)
    keep(qtbot, panel)
    data = Corrections(panel.folder.text())
    (record,) = data.records()
    assert (record.reference, record.facts["weight"]) == (True, 4.0)
    found = np.asarray(open_image(data.path(record, "reference"), axes="cyx"))[0]
    np.testing.assert_array_equal(found, 255 - image.data)
    keep(qtbot, panel)
    assert len(Corrections(panel.folder.text())) == 1


def test_a_stained_part_of_a_colour_image(
    qtbot: Any, viewer: Any, model_paths: dict[str, Path], tmp_path: Path
) -> None:
    values = np.moveaxis(np.asarray(fields(1, (3, 300, 280))[0]), 0, -1)
    image = viewer.add_image(values, name="colour", rgb=True)
    region = {"y": (20, 290), "x": (10, 270)}
    stained = add_stained(viewer, image, model_paths["rgb"], region=region)
    panel = open_panel(viewer)
    panel.folder.setText(str(tmp_path / "kept"))
    panel.right.click()
    viewer.layers.selection.active.paint((100, 50), 1)
    keep(qtbot, panel)
    (record,) = Corrections(tmp_path / "kept").records()
    top, bottom, left, right = record.facts["box"]
    assert (top, left) == (20, 10)
    found = np.asarray(open_image(Corrections(tmp_path / "kept").path(record, "stain"), axes="cyx"))
    expected = np.moveaxis(np.asarray(stained.data), -1, 0)
    np.testing.assert_array_equal(found, expected[:, : bottom - 20, : right - 10])


def test_what_is_missing_is_said(viewer: Any, layers: tuple[Any, Any], tmp_path: Path) -> None:
    _, stained = layers
    panel = open_panel(viewer)
    panel.right.click()
    panel.folder.setText("")
    panel.refresh()
    assert (panel.message.level, "Choose a folder" in panel.message.text()) == (
        Level.PROBLEM, True
    )  # fmt: skip
    viewer.layers.remove(stained)
    panel.refresh()
    assert "Stain an image first" in panel.message.text()
    panel.wrong.click()
    assert "Stain an image first" in panel.message.text()
    assert not panel.keep_button.isEnabled()


def test_unpainted_marks_are_refused_when_they_are_read(
    qtbot: Any, viewer: Any, layers: tuple[Any, Any]
) -> None:
    panel = open_panel(viewer)
    panel.right.click()
    keep(qtbot, panel)
    assert (panel.message.level, "Nothing is marked" in panel.message.text()) == (
        Level.PROBLEM, True
    )  # fmt: skip
    assert not Path(panel.folder.text()).exists()
