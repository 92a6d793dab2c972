"""The way of a user: the sample from the File menu, the panels from the Plugins menu, real models.

napari gives what it opens from its menus a proxy of the viewer, which hides private names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_tincture as nt
from napari_tincture import samples
from napari_tincture.widgets.synthesize import SynthesizePanel

PATIENCE = 120_000


def run(qtbot: Any, viewer: Any, panel: Any) -> list[Any]:
    before = list(viewer.layers)
    panel.refresh()
    assert panel.runner.run_button.isEnabled(), panel.message.text()
    panel.runner.run_button.click()
    job = panel._job
    qtbot.waitUntil(lambda: job.state.final, timeout=PATIENCE)
    assert job.error is None
    qtbot.waitUntil(lambda: len(viewer.layers) > len(before), timeout=PATIENCE)
    return [layer for layer in viewer.layers if layer not in before]


@pytest.mark.slow
def test_sample_stain_and_segment_from_the_menus(qtbot: Any, viewer: Any) -> None:
    viewer.open_sample("napari-tincture", "neurons")
    phase = next(layer for layer in viewer.layers if layer.ndim == 3)
    _, stain = viewer.window.add_plugin_dock_widget("napari-tincture", "Stain")
    stain.layer.value = phase.name
    stain.refresh()
    assert stain.model.name == "phase-to-dapi"
    assert set(stain.also.offered) == {"std"}
    stained = run(qtbot, viewer, stain)
    dapi = next(layer for layer in stained if "DAPI" in layer.name)
    expected = nt.stain(samples.neuron_phase(), "phase-to-dapi").plane(c=0)
    np.testing.assert_array_equal(np.asarray(dapi.data), np.asarray(expected))
    np.testing.assert_array_equal(dapi.scale, phase.scale[-2:])
    assert dapi.units == phase.units[-2:]

    _, segment = viewer.window.add_plugin_dock_widget("napari-tincture", "Segment")
    segment.layer.value = dapi.name
    (nuclei,) = run(qtbot, viewer, segment)
    objects = np.asarray(nt.segment(np.asarray(expected), "nuclei"))
    np.testing.assert_array_equal(np.asarray(nuclei.data), objects)
    assert objects.max() > 20


def test_a_new_label_map_from_the_file_menu_is_ready_to_paint(qtbot: Any, viewer: Any) -> None:
    from napari._app_model import get_app_model

    get_app_model().commands.execute_command("napari-tincture.new_map").result()
    (made,) = viewer.layers
    assert made.mode == "paint"
    (panel,) = viewer.window._qt_window.findChildren(SynthesizePanel)
    assert panel.layer.value == made.name
    assert int(made.selected_label) in panel.map.palette_.values
