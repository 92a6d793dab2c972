"""Choosing a style in the Synthesize panel of a real window: from the seed, by name, of a layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from painters import denoiser, label_map, styled
from panels import PATIENCE, finish, run

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.widgets.synthesize import SynthesizePanel

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def painters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("styles")
    named = denoiser()
    named = named.with_card(named.card.replace(styles=("day",)))
    plain = styled(encoder=False, use_vae=False)
    models = {"named": named, "spade": styled(), "plain": plain}
    return {name: model.save(folder / f"{name}.safetensors") for name, model in models.items()}


def texts(choice: Any) -> list[str]:
    return [choice.itemText(i) for i in range(choice.count())]


def shown(panel: Any) -> tuple[bool, bool]:
    look = panel.sampling.look
    return tuple(field.isVisibleTo(panel) for field in (look.style, look.strength))


def picture(*channels: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 99, (40, 50, *channels), np.uint8)


@pytest.mark.slow
def test_denoisers_take_styles_by_name_and_start_from_layers(
    qtbot: Any, viewer: Any, open_panel: Open, painters: dict[str, Path]
) -> None:
    grey, colour = picture(), picture(3)
    viewer.add_image(grey, name="photo")
    viewer.add_image(colour, name="coloured")
    viewer.add_labels(label_map(), name="map")
    panel = open_panel(SynthesizePanel, painters["named"], layer="map")
    panel.sampling.steps.setValue(2)
    look = panel.sampling.look
    assert texts(look.style) == ["at random", "day", "style 2", "as photo"]
    assert shown(panel) == (True, False)
    assert "style" not in panel.options()
    look.style.value = 1
    assert panel.plan().settings.options["style"] == 1
    look.style.value = ("layer", "photo")
    look.strength.setValue(0.9)
    assert shown(panel) == (True, True)
    (layer,) = run(qtbot, viewer, panel)
    expected = nt.synthesize(
        label_map(), painters["named"], steps=2, style=grey, style_strength=0.9
    )
    np.testing.assert_array_equal(layer.data, np.asarray(expected))
    with pytest.raises(InputError, match="one map at a time"):
        panel.run_batch()
    viewer.layers.remove("photo")
    panel.refresh()
    assert ("layer", "photo") not in [look.style.itemData(i) for i in range(look.style.count())]


def test_spade_takes_the_look_of_a_layer(
    qtbot: Any, viewer: Any, open_panel: Open, painters: dict[str, Path]
) -> None:
    colour = picture(3)
    viewer.add_image(colour, name="photo")
    viewer.add_labels(label_map(), name="map")
    panel = open_panel(SynthesizePanel, painters["spade"], layer="map")
    look = panel.sampling.look
    assert texts(look.style) == ["at random", "the middle", "as photo"]
    look.style.value = ("layer", "photo")
    assert shown(panel) == (True, False)
    (layer,) = run(qtbot, viewer, panel)
    style = nt.open_image(np.moveaxis(colour, -1, 0), axes="cyx")
    expected = np.asarray(nt.synthesize(label_map(), painters["spade"], style=style))
    np.testing.assert_array_equal(layer.data, np.moveaxis(expected, 0, -1))


def test_models_that_know_no_styles_offer_none(
    viewer: Any, open_panel: Open, painters: dict[str, Path]
) -> None:
    viewer.add_labels(label_map(), name="map")
    panel = open_panel(SynthesizePanel, painters["plain"], layer="map")
    assert shown(panel) == (False, False)
    assert "style" not in panel.options()
    assert not panel.comparison.isVisibleTo(panel)


@pytest.mark.slow
def test_samplers_are_compared_side_by_side(
    qtbot: Any, viewer: Any, open_panel: Open, painters: dict[str, Path]
) -> None:
    viewer.add_image(np.full(label_map().shape, 90, np.uint8), name="photo")
    viewer.add_labels(label_map(), name="map")
    panel = open_panel(SynthesizePanel, painters["named"], layer="map")
    panel.sampling.seed.setValue(3)
    panel.comparison.unfolded = True
    panel.comparison.settings.setText("ddim 2, euler 3")
    panel.comparison.reference.value = "photo"
    panel.comparison.button.click()
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=PATIENCE)
    # Napari's grid begins with the topmost layer.
    assert [layer.name for layer in viewer.layers][::-1][:2] == ["ddim 2 steps", "euler 3 steps"]
    expected = nt.synthesize(label_map(), painters["named"], sampler="euler", steps=3, seed=3)
    np.testing.assert_array_equal(viewer.layers["euler 3 steps"].data, np.asarray(expected))
    table = panel.comparison.table
    heads = [table.horizontalHeaderItem(i).text() for i in range(table.columnCount())]
    assert heads[:5] == ["image", "steps", "seconds", "rmse", "ssim"]
    assert "reference psnr" in heads
    assert table.item(1, 3).text() == "0"
    panel.comparison.settings.setText("ddim forty")
    panel.comparison.button.click()
    assert "'ddim forty'" in panel.message.text()
