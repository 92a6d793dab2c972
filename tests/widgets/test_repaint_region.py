"""A scene of a part of a layer is repainted from the layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from painters import label_map
from panels import PATIENCE, finish

from napari_tincture.widgets.synthesize import SynthesizePanel


def test_a_part_of_a_layer_is_repainted(
    qtbot: Any, viewer: Any, open_panel: Callable[..., Any], painter: Path
) -> None:
    layer = viewer.add_labels(label_map(100, 120), name="map", scale=(2, 2))
    corners = np.array([[20, 30], [20, 94], [84, 94], [84, 30]]) * 2
    viewer.add_shapes([corners], name="box")
    panel = open_panel(SynthesizePanel, painter, layer="map", region="shape")
    panel.sampling.steps.setValue(3)
    panel.refresh()
    panel.runner.run_button.click()
    finish(qtbot, panel._job)
    qtbot.waitUntil(panel.repaint_button.isEnabled, timeout=PATIENCE)
    (image,) = (each for each in viewer.layers if each.name not in ("map", "box"))
    before = image.data.copy()
    top, left = np.round(layer.world_to_data(image.data_to_world((0, 0)))).astype(int)
    assert (top, left) == (20, 30)
    layer.data[40:46, 50:58] = 4
    layer.refresh()
    panel.margin.setValue(0)
    panel.repaint_button.click()
    finish(qtbot, panel._job)
    qtbot.waitUntil(lambda: (image.data != before).any(), timeout=PATIENCE)
    differ = image.data != before
    differ[40 - top : 46 - top, 50 - left : 58 - left] = False
    assert not differ.any()
