"""What the Segment panel alone offers: objects with their table, sizes, realism."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.colormaps import CyclicLabelColormap
from panels import cells, run
from qtpy.QtWidgets import QFileDialog

import napari_tincture as nt
from napari_tincture.models.card import Channel, Part
from napari_tincture.models.model import Model
from napari_tincture.models.registry import build_network
from napari_tincture.widgets._form import Level
from napari_tincture.widgets.segment import SegmentPanel

Open = Callable[..., Any]
Models = dict[str, Path]


@pytest.mark.slow
def test_objects_through_planes_with_their_table(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, tmp_path: Path, monkeypatch: Any
) -> None:
    source = viewer.add_image(
        cells(2), name="cells", axis_labels=("z", "y", "x"), scale=(3, 1, 1), units=("um",) * 3
    )
    panel = open_panel(SegmentPanel, model_paths["segment"], layer="cells", augment="turns")
    assert not panel.table_button.isEnabled()
    panel.link.value = "z"
    (layer,) = run(qtbot, viewer, panel)
    labels = nt.segment(source, model_paths["segment"], augment="turns", link="z")
    np.testing.assert_array_equal(layer.data, labels)
    table = nt.measure_objects(labels, source)
    assert layer.features["index"].tolist() == table.columns["label"].tolist()
    np.testing.assert_allclose(layer.features["intensity_mean"], table.columns["intensity_mean"])
    assert table.unit == "um"

    path = tmp_path / "objects.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    panel.table_button.click()
    expected = table.save(tmp_path / "expected.csv")
    assert path.read_bytes() == expected.read_bytes()


def test_sizes_are_limited_in_pixels_or_in_the_layers_unit(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    path = model_paths["segment"]
    source = viewer.add_image(cells(), name="cells", scale=(0.5, 0.5), units=("um", "um"))
    areas = np.bincount(np.asarray(nt.segment(source, path)).ravel())[1:]
    low, high = np.quantile(areas, [0.3, 0.7])
    panel = open_panel(SegmentPanel, path, layer="cells")
    panel.sizes.least.setValue(low / 4)
    panel.sizes.most.setValue(high / 4)
    panel.sizes.unit.value = "um2"
    (layer,) = run(qtbot, viewer, panel)
    left = np.bincount(layer.data.ravel())[1:]
    assert 0 < len(left) < len(areas)
    assert left.min() >= low
    assert left.max() <= high
    expected = nt.segment(source, path, min_size=low / 4, max_size=high / 4, size_unit="um2")
    np.testing.assert_array_equal(layer.data, expected)
    assert SegmentPanel(viewer).sizes.options == panel.sizes.options


@pytest.mark.parametrize(
    ("least", "most", "unit", "message"),
    [
        (9, 4, "pixel", "min_size=9.0 is more than max_size=4.0"),
        (1, 0, "um2", "layer a scale"),
    ],
)
def test_sizes_that_cannot_be_meant_are_told_before_run(
    viewer: Any, open_panel: Open, model_paths: Models, least: float, most: float, unit: str,
    message: str,
) -> None:  # fmt: skip
    viewer.add_image(cells(), name="cells")
    panel = open_panel(SegmentPanel, model_paths["segment"], layer="cells")
    panel.sizes.least.setValue(least)
    panel.sizes.most.setValue(most)
    panel.sizes.unit.value = unit
    panel.refresh()
    assert panel.message.level is Level.PROBLEM
    assert message in panel.message.text()
    panel.result.value = "probabilities"
    panel.refresh()
    assert panel.message.level is Level.READY
    assert not panel.sizes.isVisibleTo(panel)


def test_objects_of_a_model_that_only_gives_maps(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, tmp_path: Path
) -> None:
    plain = nt.load_model(model_paths["segment"])
    names = ("background", "nucleus", "boundary")
    outputs = tuple(Channel(name) for name in names)
    card = plain.card.replace(name="maps", outputs=outputs, instances=None)
    path = Model(plain.network, card).save(tmp_path / "maps.safetensors")
    source = viewer.add_image(cells(), name="cells")
    panel = open_panel(SegmentPanel, path, layer="cells")
    assert panel.maps.isVisibleTo(panel)
    assert panel.maps.options == {"object": "nucleus", "border": "boundary"}
    panel.maps.border.value = "nucleus"
    panel.refresh()
    assert "give each map one meaning" in panel.message.text()
    panel.maps.object.value, panel.maps.border.value = "background", ""
    (layer,) = run(qtbot, viewer, panel)
    expected = nt.segment(source, path, instances={"object": "background"})
    np.testing.assert_array_equal(layer.data, expected)
    assert layer.data.max() > 0
    # Nobody painted on it: every object has a colour of its own.
    assert isinstance(layer.colormap, CyclicLabelColormap)
    panel.model.choose(str(model_paths["segment"]))
    panel.refresh()
    assert not panel.maps.isVisibleTo(panel)


@pytest.mark.slow
def test_realism_is_offered_where_the_model_has_it(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, tmp_path: Path
) -> None:
    part = Part("patch", {"in_channels": 4, "ndf": 2, "n_layers": 2, "norm": "batch"})
    plain = nt.load_model(model_paths["segment"])
    card = plain.card.replace(name="judged", parts={"discriminator": part})
    judge = build_network(part.architecture, part.options, "discriminators")
    path = Model(plain.network, card, {"discriminator": judge}).save(
        tmp_path / "judged.safetensors"
    )
    source = viewer.add_image(cells(), name="cells", scale=(0.5, 0.25))
    panel = open_panel(SegmentPanel, model_paths["segment"], layer="cells")
    offered = panel.result.count()
    panel.model.choose(str(path))
    panel.refresh()
    assert panel.result.count() == offered + 1
    panel.augment.value = "turns"
    panel.result.value = "realism"
    panel.refresh()
    assert not panel.augment.isVisibleTo(panel)
    (layer,) = run(qtbot, viewer, panel)
    expected = nt.segment(source, path, output="realism")
    np.testing.assert_allclose(layer.data, expected, atol=1e-5)
    assert type(layer).__name__ == "Image"
    np.testing.assert_allclose(layer.scale, source.scale)
