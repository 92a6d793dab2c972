"""The Train panel's plans and messages; trainings themselves are in test_train_window."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from napari_tincture.errors import InputError
from napari_tincture.models.shipped import library_folder
from napari_tincture.training.begun import Begun, list_begun
from napari_tincture.training.presets import preset
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._train_again import open_recipe
from napari_tincture.widgets._train_form import LOADED
from napari_tincture.widgets._train_plan import (
    Chosen,
    TrainChoices,
    make_train_plan,
    resume_plan,
)
from napari_tincture.widgets.train import TrainPanel, train_layers
from napari_tincture.worker.jobs import State
from napari_tincture.worker.training import make_recipe

PATIENCE = 90_000


@pytest.fixture
def library() -> Iterator[Path]:
    """The library of this session, which the workers know, too; empty again afterwards."""
    library_folder().mkdir(parents=True, exist_ok=True)
    yield library_folder()
    shutil.rmtree(library_folder())


@pytest.fixture
def panel(qtbot: Any, viewer: Any) -> Any:
    panel = TrainPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Train")
    qtbot.waitUntil(lambda: panel.form.ready, timeout=PATIENCE)
    return panel


class Layers(dict):
    """Enough of a viewer for looking layers up."""

    @property
    def layers(self) -> dict[str, Any]:
        return self


def layers(viewer: Any, *shapes: tuple[int, int]) -> list[Any]:
    return [
        viewer.add_image(np.zeros(shape, np.uint8), name=f"{number}: {shape[0]}")
        for number, shape in enumerate(shapes)
    ]


SETTINGS = {"name": "mine", "family": "cyclegan"}
WRONG: dict[str, tuple[tuple[str, str], tuple[tuple[int, int], ...], str]] = {
    "nothing": (("a", "b"), (), "From: choose layers, or a folder"),
    "small": (("a", "b"), ((40, 40), (30, 40)), r"'1: 30' has 30 × 40 px .* crops of 32 px"),
    "sizes": (("pair_a", "pair_b"), ((40, 40), (41, 40)), r"'0: 40' \(40 × 40 px\) and '1: 41'"),
    "numbers": (
        ("pair_a", "pair_b"),
        ((40, 40), (40, 40), (40, 40)),
        r"1 layers .*'0: 40'.* and 2",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_trained_is_said_and_named(plain_viewer: Any, name: str) -> None:
    (one, other), shapes, problem = WRONG[name]
    made = layers(plain_viewer, *shapes)
    sides = {one: Chosen(made[:1]), other: Chosen(made[1:])}
    with pytest.raises(InputError, match=problem):
        make_train_plan(TrainChoices(sides=sides, crop=32, settings=SETTINGS))


def test_folders_masks_and_channels_are_in_the_plan(plain_viewer: Any, tmp_path: Path) -> None:
    (layer,) = layers(plain_viewer, (50, 60))
    labels = plain_viewer.add_labels(np.zeros((50, 60), np.uint8), name="folds")
    sides = {"a": Chosen([layer], mask=labels), "b": Chosen(folder=str(tmp_path))}
    choices = TrainChoices(sides=sides, channels={"a": (0,), "b": None}, settings=SETTINGS)
    plan = make_train_plan(choices)
    assert plan.size == f"1 layer → {tmp_path.name}"
    assert plan.settings.sides["a"].mask == 1
    assert plan.sources[1].name == layer.name, "a mask finds its image by name"
    assert plan.settings.sides["b"].images == (str(tmp_path),)
    # Resumed, the same is found again, or it is said what is gone.
    begun = Begun("mine", {"schedule": {"steps": 9}}, json.loads(json.dumps(plan.settings.kept)), 4)
    again = resume_plan(begun, plain_viewer, {}, steps=None)
    assert again.size == "from step 4 to 9"
    assert again.settings.sides == plan.settings.sides
    assert [raster.name for raster in again.sources] == [raster.name for raster in plan.sources]
    with pytest.raises(InputError, match="all its 4 steps"):
        resume_plan(begun, plain_viewer, {}, steps=4)
    with pytest.raises(InputError, match=r"'0: 50' is gone.*under this name"):
        resume_plan(begun, Layers(), {}, steps=None)
    labels.data = np.zeros((9, 9), np.uint8)
    with pytest.raises(InputError, match=r"'folds' .* none of the layers"):
        make_train_plan(choices)
    gone = {"a": Chosen([layer]), "b": Chosen(folder=str(tmp_path / "gone"))}
    with pytest.raises(InputError, match="To: there is no"):
        make_train_plan(TrainChoices(sides=gone, settings=SETTINGS))


def test_the_panel_offers_what_a_family_can_learn_from(panel: Any, viewer: Any) -> None:
    first, second = layers(viewer, (50, 60), (50, 60))
    stack = viewer.add_image(np.zeros((3, 50, 60), np.uint8), name="stack")
    assert "choose layers" in (panel.refresh(), panel.message.text())[1]
    assert not panel.runner.train_button.isEnabled()
    panel.form.data.texts = {"crop": "32"}
    panel.sides.a.layers.ticked, panel.sides.b.layers.ticked = [first], [second]

    def pairings() -> list[str]:
        panel.refresh()
        return [panel.sides.pairing.itemData(i) for i in range(panel.sides.pairing.count())]

    for family, offered in (
        ("cyclegan", ["unpaired", "both"]), ("pix2pix", ["pairs"]),
        ("autoencoder", ["alone"]), ("attentiongan", ["unpaired", "both"]),
    ):  # fmt: skip
        panel.form.family.value = family
        assert pairings() == offered
        assert panel.sides.b.isVisibleTo(panel) == (family != "autoencoder")
        assert set(panel.plan().settings.sides) == (
            {"a"}
            if family == "autoencoder"
            else {"a", "b"}
            if len(offered) > 1
            else {"pair_a", "pair_b"}
        )
    assert panel.runner.train_button.isEnabled()
    panel.sides.pairing.value = "both"
    panel.refresh()
    assert "Pairs from: choose" in panel.message.text()
    panel.sides.pairing.value = "unpaired"
    panel.sides.a.layers.ticked = [stack]
    panel.refresh()
    assert panel.message.level is Level.PROBLEM
    panel.sides.axes.value = ("stack", "zyx")
    panel.refresh()
    assert panel.message.level is Level.READY, panel.message.text()


@pytest.mark.parametrize("family", ["diffusion", "spade"])
def test_what_is_made_of_label_maps_is_called_so(panel: Any, viewer: Any, family: str) -> None:
    (image,) = layers(viewer, (50, 60))
    labels = viewer.add_labels(np.zeros((50, 60), np.uint8), name="map")
    panel.form.family.value = family
    panel.refresh()
    assert panel.sides.words == ("Images", "Maps")
    assert panel.sides._form.labelForField(panel.sides.b).text() == "Maps"
    assert panel.sides.b.layers.offered == [labels]
    panel.sides.a.layers.ticked, panel.sides.b.layers.ticked = [image], [labels]
    panel.form.data.texts = {"crop": "32"}
    panel.refresh()
    assert panel.message.level is Level.READY, panel.message.text()
    assert panel.previews.choice.itemText(0) == "the first layer of Maps"
    assert panel._stack_of()[0] is labels
    if family == "diffusion":
        panel.form.losses.texts = {"style_from": "^([a-z]+)_"}
        assert panel.plan().settings.changes["options"] == {"style_from": "^([a-z]+)_"}
    panel.form.family.value = "cyclegan"
    panel.refresh()
    assert panel.sides.words == ("From", "To")
    assert panel._stack_of()[0] is image


def test_recipes_are_saved_and_loaded(
    qtbot: Any, panel: Any, viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.json"
    asked = lambda *_, **__: (str(path), "")  # noqa: E731
    monkeypatch.setattr(QFileDialog, "getSaveFileName", asked)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", asked)
    panel.sides.a.layers.ticked, panel.sides.b.layers.ticked = (
        [layer] for layer in layers(viewer, (150, 160), (150, 160))
    )
    panel.refresh()
    panel.sides.a.layers.ticked, panel.sides.b.layers.ticked = (
        [layer] for layer in reversed(viewer.layers)
    )
    panel.form.learning.texts = {"lr": "0.003"}
    panel.form.file.save_button.click()
    qtbot.waitUntil(lambda: panel.runner.status.text() == "Saved mine.json.", timeout=PATIENCE)
    recipe = json.loads(path.read_text())
    assert (recipe["family"], recipe["schedule"]["lr"]) == (panel.form.family.value, 0.003)
    assert recipe["networks"]["forward"]["options"]["in_channels"] == 1
    as_python, as_command = panel.form.file.copy_button.entries.actions()
    as_python.trigger()
    qtbot.waitUntil(lambda: panel.runner.status.text() == "Copied as Python.", timeout=PATIENCE)
    lines = QApplication.clipboard().text()
    assert lines.startswith("import napari_tincture as nt\n")
    assert "model = nt.train({" in lines
    compile(lines, "copied", "exec")
    as_command.trigger()
    qtbot.waitUntil(lambda: panel.runner.status.text() == "Copied as a command.", timeout=PATIENCE)
    name, verb, text = shlex.split(QApplication.clipboard().text())
    assert (name, verb) == ("napari-tincture", "run")
    assert json.loads(text)["settings"]["recipe"] == recipe
    panel.form.file.load_button.click()
    assert panel.form.preset.value == LOADED
    path.write_text("{")
    panel.form.file.load_button.click()
    assert "mine.json cannot be taken as a recipe" in panel.runner.status.text()


def test_a_recipe_opens_the_panel_with_its_images(
    qtbot: Any, viewer: Any, hub: JobHub, library: Path
) -> None:
    (first,) = layers(viewer, (150, 160))
    sides = {"a": Chosen([first]), "b": Chosen(folder=str(library))}
    kept = make_train_plan(TrainChoices(sides=sides, settings=SETTINGS)).settings.kept
    recipe = {**preset("cyclegan", "tiny").to_dict(), "name": "old", "start": "m.safetensors"}
    recipe["data"] = {"corrections": {"folder": "marks", "regions": []}}
    Begun("old", recipe, json.loads(json.dumps(kept))).write()
    panel = open_recipe(viewer, recipe)
    qtbot.waitUntil(lambda: panel.form.ready, timeout=PATIENCE)
    assert panel.form.base == recipe
    plan = panel.plan()
    assert plan.settings.base == recipe
    assert plan.settings.sides["b"].images == (str(library),)
    assert [raster.name for raster in plan.sources] == [first.name]
    assert open_recipe(viewer, {"name": "nothing"}) is panel
    assert "no recipe of" in panel.runner.status.text()
    # What it learned from beside images, and began with, is kept.
    described = {name: {"images": ["x"]} for name in "ab"}
    made = make_recipe(plan.settings, described)
    assert made.data == {**recipe["data"], **described}
    assert made.start == "m.safetensors"


def test_trainings_begun_before_can_be_discarded(
    panel: Any, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not panel.begun.isVisibleTo(panel)
    begun = Begun("old", {"schedule": {"steps": 9}}, {}, 4)
    begun.write()
    begun.checkpoint.write_bytes(b"")
    panel.begun.look_again()
    assert panel.begun.choice.currentText() == "old, 4 of 9"
    answers = iter((QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes))
    monkeypatch.setattr(QMessageBox, "question", lambda *_: next(answers))
    panel.begun.discard_button.click()
    assert len(list_begun()) == 1
    panel.begun.discard_button.click()
    assert list_begun() == []
    assert not panel.begun.isVisibleTo(panel)


@pytest.mark.slow
def test_a_failure_is_said_and_a_closed_window_interrupts(
    qtbot: Any, hub: JobHub, library: Path
) -> None:
    import napari

    viewer = napari.Viewer(show=True)
    rng = np.random.default_rng(0)
    pair = [viewer.add_image(rng.integers(0, 255, (160, 150), np.uint8), name=n) for n in "ab"]
    panel = TrainPanel(viewer)
    viewer.window.add_dock_widget(panel)
    usual = {"family": "regression", "pairs": True, "crop": 32}
    job = train_layers(viewer, *pair, name="wild", lr=1e30, clip=0.0, warmup=0, **usual)
    further = train_layers(viewer, *pair, name="calm", steps=100_000, **usual)
    panel._follow(job)
    qtbot.waitUntil(lambda: panel.runner.status.level is Level.PROBLEM, timeout=PATIENCE)
    assert job.state is State.FAILED
    assert "lower learning rate" in panel.runner.status.text()
    assert job.losses
    qtbot.waitUntil(lambda: further.done > 2, timeout=PATIENCE)
    viewer.close()
    qtbot.waitUntil(lambda: further.state is State.CANCELLED, timeout=PATIENCE)
    qtbot.waitUntil(lambda: hub.trainer.pid is None, timeout=PATIENCE)
    assert {each.name: each.step > 2 for each in list_begun()}["calm"]
