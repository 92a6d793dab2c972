"""Deriving label maps from the one that is chosen in the Synthesize panel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from painters import label_map
from panels import PATIENCE, same_place

import napari_tincture as nt
from napari_tincture.widgets._derive_row import EACH
from napari_tincture.widgets._form import Level
from napari_tincture.widgets.synthesize import SynthesizePanel

Open = Callable[..., Any]


def test_each_press_derives_another_map_of_the_chosen_one(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path
) -> None:
    layer = viewer.add_labels(label_map(90, 110), name="map", scale=(0.5, 0.5), units=("um", "um"))
    viewer.layers.selection = {layer}
    panel = open_panel(SynthesizePanel, painter, layer="map")
    row = panel.derive
    assert row.objects.isHidden()
    row.bend.setValue(4)
    row.moved.setValue(15)
    row.turned.setChecked(True)
    assert not row.objects.isHidden()
    assert row.objects.value == 1, "the first class beside the ground"
    for number in range(2):
        row.button.click()
        qtbot.waitUntil(lambda n=number: len(viewer.layers) == n + 2, timeout=PATIENCE)
    assert "objects moved" in row.message.text()
    assert row.seed.value() == 2
    panel.refresh()
    assert panel.layer.value == "map"
    for seed in range(2):
        made = viewer.layers[f"map derived {seed}"]
        assert isinstance(made, Labels)
        same_place(made, layer)
        expected = nt.derive_labels(
            label_map(90, 110), elastic=4, move=15, turn=180, resize=1.25, objects=[1], seed=seed
        )
        np.testing.assert_array_equal(made.data, np.asarray(expected))
    np.testing.assert_array_equal(layer.data, label_map(90, 110))
    assert made.features["class"].tolist() == ["field", "cell", "wall"]


def test_derive_says_what_is_missing(viewer: Any, open_panel: Open, painter: Path) -> None:
    panel = open_panel(SynthesizePanel, painter)
    row = panel.derive
    row.button.click()
    assert row.message.level is Level.PROBLEM
    viewer.add_labels(label_map(), name="map")
    panel.refresh()
    row.bend.setValue(0)
    row.button.click()
    assert "how far" in row.message.text()
    assert row.button.isEnabled()
    assert len(viewer.layers) == 1


def test_maps_of_classes_wear_their_colours_and_numbered_ones_do_not(
    qtbot: Any, viewer: Any, open_panel: Open, painter: Path
) -> None:
    viewer.add_labels(label_map(60, 60), name="map")
    row = open_panel(SynthesizePanel, painter, layer="map").derive

    def derived() -> Labels:
        before = len(viewer.layers)
        row.button.click()
        qtbot.waitUntil(lambda: len(viewer.layers) > before, timeout=PATIENCE)
        (found,) = (layer for layer in viewer.layers if layer.name.endswith(str(before - 1)))
        return found

    assert isinstance(derived().colormap, DirectLabelColormap), "bent"
    row.moved.setValue(5)
    assert isinstance(derived().colormap, DirectLabelColormap), "moved"
    row.objects.value = EACH
    assert isinstance(derived().colormap, CyclicLabelColormap), "moved, each number"
