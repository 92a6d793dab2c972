"""Number keys go to the panel that took them last, and back when it lets go."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from painters import label_map

from napari_tincture.widgets._number_keys import NumberKeys
from napari_tincture.widgets.segment import SegmentPanel
from napari_tincture.widgets.synthesize import SynthesizePanel


@pytest.mark.parametrize("order", [*permutations("abc")])
def test_keys_go_back_in_any_order(order: tuple[str, ...]) -> None:
    viewer = ViewerModel()
    layer = viewer.add_labels(np.zeros((4, 4), np.uint8))
    heard: list[str] = []
    layer.bind_key("1", lambda _: heard.append("mine"))
    keys = {
        name: NumberKeys(viewer, lambda place, name=name: heard.append(f"{name}{place}"))
        for name in "abc"
    }

    def press() -> str:
        (action,) = (action for key, action in layer.keymap.items() if str(key) == "1")
        action(layer)
        return heard[-1]

    for each in keys.values():
        each.bind([layer])
    for name in order:
        assert press() == f"{max(keys)}0"
        keys.pop(name).release()
    assert press() == "mine"
    assert len(layer.keymap) == 1
    assert not viewer.keymap


def test_a_key_that_somebody_took_since_stays_theirs() -> None:
    viewer = ViewerModel()
    keys = NumberKeys(viewer, lambda _: None)
    keys.bind([])
    viewer.bind_key("2", print, overwrite=True)
    keys.release()
    assert list(viewer.keymap.values()) == [print]


@pytest.mark.parametrize("panel_class", [SegmentPanel, SynthesizePanel])
def test_a_closed_panel_gives_the_keys_back(
    qtbot: Any, viewer: Any, open_panel: Callable[..., Any], model_paths: dict[str, Path],
    painter: Path, panel_class: type,
) -> None:  # fmt: skip
    viewer.add_image(np.zeros((9, 9), np.uint8), name="image")
    layer = viewer.add_labels(label_map(), name="map")
    paints = panel_class is SynthesizePanel
    panel = open_panel(panel_class, painter if paints else model_paths["segment"])
    if not paints:
        panel.teach.unfolded = True
    assert len(layer.keymap) == len(viewer.keymap) == 9
    panel.parentWidget().destroyOnClose()
    panel.refresh()  # as the end of a job does
    assert not layer.keymap
    assert not viewer.keymap
    viewer.window.add_dock_widget(panel)
    qtbot.waitUntil(lambda: len(layer.keymap) == len(viewer.keymap) == 9)
