"""What a model knows beside its image, as layers of a real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panels import cells, finish, run, same_place
from two_way import noisy, two_way

import napari_tincture as nt
from napari_tincture.models.statistics import measured, summary
from napari_tincture.tasks.recipe import Recipe
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._memory import kept
from napari_tincture.widgets._unlike import _KNOWN
from napari_tincture.widgets.stain import StainPanel, stain_layer

Open = Callable[..., Any]
IMAGE = cells(2, side=60)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("two way")
    known = summary([measured(IMAGE.astype(np.float64))], 1, None)
    quantiles = tuple(np.linspace(-1, 1, 101).tolist())
    made = {
        "both": two_way(calibration=quantiles, training_statistics=known),
        "heat": two_way("patch", "ugatit"),
        "noisy": noisy(back=False),
    }
    return {name: model.save(folder / f"{name}.safetensors") for name, model in made.items()}


@pytest.fixture
def layer(viewer: Any) -> Any:
    return viewer.add_image(IMAGE, name="cells", axis_labels=("c", "y", "x"), scale=(1, 0.5, 0.25))


def tick(panel: Any, *names: str) -> None:
    for name, box in panel.also.boxes.items():
        box.setChecked(name in names)
    panel.refresh()


@pytest.mark.slow
def test_each_output_is_a_layer(
    qtbot: Any, viewer: Any, layer: Any, open_panel: Open, models: dict[str, Path]
) -> None:
    panel = open_panel(StainPanel, models["both"])
    assert "heatmap" not in panel.also.offered
    names = ("reconstruction", "cycle_error", "realism")
    tick(panel, *names)
    added = {made.name: made for made in run(qtbot, viewer, panel)}
    expected = nt.stain(layer, models["both"], outputs=("image", *names)).compute()
    prefix = "cells resnet_generator patch"
    error, realism = added[f"{prefix} cycle error"], added[f"{prefix} realism"]
    np.testing.assert_allclose(error.data, expected["cycle_error"], atol=1e-5)
    np.testing.assert_allclose(realism.data, expected["realism"], atol=1e-4)
    for number, channel in enumerate(("b0", "b1")):
        image = added[f"{prefix} {channel}"]
        np.testing.assert_allclose(image.data, expected["image"][number], atol=1e-4)
        assert image.visible
    assert (error.colormap.name, tuple(error.contrast_limits)) == ("magma", (0, 0.2))
    assert (realism.colormap.name, tuple(realism.contrast_limits)) == ("viridis", (0, 1))
    assert f"{prefix} reconstruction a1" in added
    assert not error.visible
    for made in added.values():
        same_place(made, layer)
    mean, spread = expected["cycle_error"].mean(), expected["cycle_error"].std()
    said = panel.runner.status.text()
    assert f"Cycle error {mean:.3f} ± {spread:.3f}" in said
    assert f"realism {expected['realism'].mean():.2f}" in said


def test_the_other_direction(
    qtbot: Any, viewer: Any, layer: Any, open_panel: Open, models: dict[str, Path]
) -> None:
    panel = open_panel(StainPanel, models["both"])
    assert not panel.direction.isHidden()
    panel.direction.value = "backward"
    first, second = run(qtbot, viewer, panel)
    expected = np.asarray(nt.stain(layer, models["both"], direction="backward"))
    np.testing.assert_allclose(first.data, expected[0], atol=1e-4)
    np.testing.assert_allclose(second.data, expected[1], atol=1e-4)
    panel.model.choose(str(models["noisy"]))
    panel.refresh()
    assert panel.direction.isHidden()
    assert panel.plan().settings.options == {"samples": 3, "seed": 0}


def test_samples_of_a_model_that_takes_noise(
    qtbot: Any, viewer: Any, layer: Any, open_panel: Open, models: dict[str, Path]
) -> None:
    panel = open_panel(StainPanel, models["noisy"])
    assert len(panel.channels.origins) == 2, "noise is no choice"
    panel.samples.setValue(2)
    panel.seed.setValue(5)
    tick(panel, "std")
    added = {made.name: made for made in run(qtbot, viewer, panel)}
    expected = nt.stain(
        layer, models["noisy"], outputs=("image", "std"), samples=2, seed=5
    ).compute()
    np.testing.assert_allclose(added["cells noisy std"].data, expected["std"], atol=1e-5)
    assert "Uncertainty" in panel.runner.status.text()


def test_a_recipe_with_a_large_seed_is_shown(
    layer: Any, open_panel: Open, models: dict[str, Path]
) -> None:
    panel = open_panel(StainPanel, models["noisy"])
    settings = {"seed": 2**40, "samples": 2}
    panel.show_recipe(Recipe("stain", (None,), str(models["noisy"]), settings), ["cells"])
    assert panel.plan().settings.options == settings
    assert not panel.seed.isEnabled()


@pytest.mark.slow
def test_to_a_folder_on_disk(
    qtbot: Any, viewer: Any, layer: Any, open_panel: Open, models: dict[str, Path], tmp_path: Path
) -> None:
    panel = open_panel(StainPanel, models["heat"])
    tick(panel, "heatmap", "cycle_error")
    panel.output.kind.value = "file"
    panel.output.path.setText(str(tmp_path / "one.ome.zarr"))
    panel.refresh()
    assert "folder" in panel.message.text()
    panel.output.path.setText(str(tmp_path / "results"))
    added = run(qtbot, viewer, panel)
    files = {path.name for path in (tmp_path / "results").iterdir()}
    assert files == {f"{name}.ome.zarr" for name in ("image", "heatmap", "cycle_error")}
    heat = next(made for made in added if "heatmap" in made.name)
    assert heat.colormap.name == "inferno"
    same_place(heat, layer)
    panel.refresh()
    assert "tick 'replace" in panel.message.text()
    panel.output.replace.setChecked(True)
    panel.refresh()
    assert panel.message.level is not Level.PROBLEM


def test_live_is_the_image_alone(
    viewer: Any, layer: Any, open_panel: Open, models: dict[str, Path]
) -> None:
    panel = open_panel(StainPanel, models["both"])
    tick(panel, "cycle_error")
    panel.output.kind.value = "live"
    panel.refresh()
    assert "Live shows the image alone" in panel.message.text()
    assert "outputs" not in panel.plan().settings.options


def test_what_was_ticked_is_remembered(
    viewer: Any, layer: Any, open_panel: Open, models: dict[str, Path]
) -> None:
    tick(open_panel(StainPanel, models["heat"]), "heatmap")
    assert kept("stain")["boxes"]["heatmap"]
    assert open_panel(StainPanel, models["heat"]).also.ticked == ("heatmap",)
    assert open_panel(StainPanel, models["both"]).also.ticked == ()


def test_an_unlike_layer_is_noted_before_it_is_run(
    viewer: Any, layer: Any, open_panel: Open, models: dict[str, Path], monkeypatch: Any
) -> None:
    panel = open_panel(StainPanel, models["both"])
    assert "trained on" not in panel.message.text()
    dark = viewer.add_image(IMAGE // 10, name="dark", axis_labels=("c", "y", "x"))
    panel.layer.value = "dark"
    panel.refresh()
    assert "trained on" in panel.message.text()
    assert panel.message.level is Level.NOTE
    assert len(_KNOWN[dark]) == 1
    said = panel.message.text()
    monkeypatch.setattr("napari_tincture.widgets._unlike.out_of_range", None)
    panel.refresh()
    assert panel.message.text() == said, "each layer is looked at once"


def test_the_process_sheet(
    qtbot: Any, viewer: Any, layer: Any, open_panel: Open, models: dict[str, Path], tmp_path: Path,
    monkeypatch: Any,
) -> None:  # fmt: skip
    panel = open_panel(StainPanel, models["both"])
    tick(panel, "cycle_error")
    target = tmp_path / "sheet.png"
    asked = lambda *_, **__: (str(target), "")  # noqa: E731
    monkeypatch.setattr("napari_tincture.widgets.stain.QFileDialog.getSaveFileName", asked)
    panel.sheet_button.click()
    finish(qtbot, panel._job)
    assert target.read_bytes().startswith(b"\x89PNG")
    qtbot.waitUntil(lambda: "Saved sheet.png." in panel.runner.status.text())
    assert len(viewer.layers) == 1


def test_from_a_script(qtbot: Any, viewer: Any, layer: Any, models: dict[str, Path]) -> None:
    options = {"outputs": ["image", "std"]}
    job = stain_layer(viewer, layer, str(models["both"]), options=options)
    finish(qtbot, job)
    expected = np.asarray(nt.stain(layer, models["both"], outputs=("std",)))
    np.testing.assert_allclose(np.asarray(job.results["std"]), expected, atol=1e-5)
    assert job.result is job.results["image"]
