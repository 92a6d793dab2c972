"""Drawing a part of a label map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from painters import label_map

from napari_tincture.widgets import _synthesis_plan
from napari_tincture.widgets._form import Level
from napari_tincture.widgets.synthesize import SynthesizePanel

Open = Callable[..., Any]


def test_what_lies_beyond_the_region_is_no_obstacle(
    viewer: Any, open_panel: Open, painter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    usual = _synthesis_plan.survey
    monkeypatch.setattr(_synthesis_plan, "survey", lambda *a: looks.append(a) or usual(*a))
    labels = label_map()
    labels[:, 50:] = 7
    viewer.add_labels(labels, name="map")
    left = viewer.add_shapes([[[0, 0], [0, 39], [39, 39], [39, 0]]], name="left")
    panel = open_panel(SynthesizePanel, painter, layer="map")
    looks.clear()
    panel.refresh()
    assert len(looks) == 1  # a large map takes a while
    assert list(panel.mapping.rows) == [7]
    assert panel.message.level is Level.PROBLEM
    panel.region.value = "shape"
    panel.refresh()
    assert panel.runner.run_button.isEnabled(), panel.message.text()
    assert not panel.mapping.rows
    # What was decided of a value is not asked again.
    panel.region.value = "layer"
    panel.refresh()
    panel.mapping.rows[7].value = "wall"
    panel.region.value = "shape"
    panel.refresh()
    assert panel.plan().settings.options["classes"] == {"7": "wall"}
    left.data = [left.data[0] + (0, 15)]
    panel.refresh()
    assert panel.runner.run_button.isEnabled(), panel.message.text()
