"""Take a picture of every panel of the manifest, at work on a sample: ``docs/panels/NAME.png``.

``python tools/panel_pictures.py [NAME ...]``: all panels, or those. A panel that `SCENES` does not
know is opened beside the neurons, so that a new one has a picture without a line here.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from doc_pages import DOCS
from manifest_panels import Panel, panels
from page_pictures import save
from PIL import Image

import napari_tincture as nt
from napari_tincture import samples
from napari_tincture.demo import as_target
from napari_tincture.display import virtual_display

if TYPE_CHECKING:
    import napari

WINDOW = (1360, 860)
"""Pixels of the window: a small screen."""
WIDTH = 340
"""Pixels of the panel."""
PATIENCE = 120
"""Seconds until a run is given up."""
PART = {"y": slice(0, 320), "x": slice(704, 1024)}
"""Of the neurons."""


def main(chosen: Sequence[str]) -> None:
    with own_folders(), virtual_display():
        for panel in panels():
            if not chosen or panel.name in chosen:
                picture(panel)


@contextmanager
def own_folders() -> Iterator[None]:
    """Settings, models and tiles of this run alone, so that pictures show nobody's own."""
    with tempfile.TemporaryDirectory(prefix="napari-tincture-") as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["NAPARI_TINCTURE_CACHE"] = str(Path(folder) / "tiles")
        os.environ["NAPARI_TINCTURE_MODELS"] = str(Path(folder) / "models")
        yield


def picture(panel: Panel) -> None:
    """Open a panel in a window of its own, set its scene, and save what the window shows."""
    import napari

    viewer = napari.Viewer(title="napari-tincture", show=True)
    viewer.window.resize(*WINDOW)
    try:
        SCENES.get(panel.name, _beside_neurons)(viewer, panel)
        viewer.reset_view()
        settle(0.5)
        shown = viewer.screenshot(canvas_only=False, flash=False)
        save(Image.fromarray(np.asarray(shown)[..., :3]), DOCS / "panels" / f"{panel.name}.png")
    finally:
        viewer.close()
        settle(0.1)


def opened(viewer: napari.Viewer, panel: Panel) -> Any:
    """The panel, docked as the menu does it."""
    from qtpy.QtCore import Qt

    dock, widget = viewer.window.add_plugin_dock_widget("napari-tincture", panel.title)
    settle(0.2)
    # As wide as its title.
    viewer.window._qt_window.resizeDocks([dock], [WIDTH], Qt.Orientation.Horizontal)
    return widget


def settle(seconds: float) -> None:
    """Let the window do what waits."""
    until(lambda: False, seconds)


def until(done: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Wait while the window goes on; whether it was done in time."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + patience
    while not done() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
    return done()


def finish(panel: Any, what: Callable[[], bool]) -> None:
    """Wait until a run has given what it was for."""
    if not until(what):
        sys.exit(f"{type(panel).__name__} did not finish: {panel.message.text()}")


def run(viewer: napari.Viewer, panel: Any, new: int = 1) -> None:
    """Press Run, and wait for so many new layers."""
    panel.refresh()
    wanted = len(viewer.layers) + new
    panel.runner.run_button.click()
    finish(panel, lambda: len(viewer.layers) >= wanted and panel._job.state.final)
    settle(0.5)


def side_by_side(viewer: napari.Viewer, rows: int, columns: int) -> None:
    """Show layers in a grid, with their names."""
    for layer in viewer.layers:
        layer.name = layer.name.removeprefix("neurons, phase contrast phase-to-dapi ")
        layer.name_overlay.visible = True
    grid = getattr(viewer, "canvas", viewer).grid
    grid.shape, grid.stride, grid.enabled = (rows, columns), 1, True


def _beside_neurons(viewer: napari.Viewer, panel: Panel) -> None:
    samples.neuron_phase().crop(PART).add_to(viewer)
    opened(viewer, panel)
    settle(2)


def _stain(viewer: napari.Viewer, panel: Panel) -> None:
    phase = samples.neuron_phase().crop(PART).add_to(viewer)
    viewer.dims.set_current_step(0, 3)
    widget = opened(viewer, panel)
    widget.model.choose("phase-to-dapi")
    run(viewer, widget, new=3)
    viewer.layers.selection.active = phase
    side_by_side(viewer, 2, 2)
    widget.refresh()


def _segment(viewer: napari.Viewer, panel: Panel) -> None:
    image = samples.nuclei(2).add_to(viewer)
    widget = opened(viewer, panel)
    widget.model.choose("nuclei")
    run(viewer, widget)
    viewer.layers.selection.active = image
    widget.refresh()


def _synthesize(viewer: napari.Viewer, panel: Panel) -> None:
    samples.tissue_map(192, seed=3).add_to(viewer)
    widget = opened(viewer, panel)
    widget.model.choose("em-tissue")
    widget.sampling.steps.setValue(10)
    run(viewer, widget)


def _compare(viewer: napari.Viewer, panel: Panel) -> None:
    part = {"y": slice(768, 1024), "x": slice(768, 1024)}
    stained = nt.stain(samples.neuron_phase().crop(part), "phase-to-dapi").plane(c=0)
    real = np.asarray(as_target(samples.neuron_dapi().crop(part)))
    for name, values in {"virtual DAPI": np.asarray(stained), "real DAPI": real}.items():
        viewer.add_image(values, name=name, contrast_limits=(0, 0.7), colormap="bop blue")
    widget = opened(viewer, panel)
    widget.form.reference.value = viewer.layers["real DAPI"]
    widget.form.range.kind.value = "number"
    widget.form.regions.value = "grid"
    widget.form.side.setValue(128)
    widget.form.range.number.setText("1")
    widget.refresh()
    widget.runner.run_button.click()
    finish(widget, lambda: widget.found is not None and not widget.comparing.running)
    for layer in viewer.layers:
        layer.visible = True
    side_by_side(viewer, 2, 2)
    settle(0.5)


def _train(viewer: napari.Viewer, panel: Panel) -> None:
    source = samples.unstained_blood().add_to(viewer)
    target = samples.blood_smear().add_to(viewer)
    side_by_side(viewer, 2, 1)
    widget = opened(viewer, panel)
    finish(widget, lambda: widget.form.ready)
    widget.form.family.value, widget.form.preset.value = "cyclegan", "tiny"
    widget.sides.a.layers.ticked = [source]
    widget.sides.b.layers.ticked = [target]
    widget.form.name.setText("my stain")
    widget.refresh()


def _correct(viewer: napari.Viewer, panel: Panel) -> None:
    blood = samples.unstained_blood().crop({"y": slice(180, 460), "x": slice(300, 660)})
    blood.add_to(viewer)
    data, options, _ = nt.stain(blood, "unstained-to-wright-giemsa").to_layer()
    viewer.add_image(np.asarray(data), **{**options, "name": "virtual stain"})
    widget = opened(viewer, panel)
    folder = Path(os.environ["NAPARI_TINCTURE_MODELS"]) / "my-stain.corrections"
    widget.folder.setText(str(folder))
    widget.right.click()
    marks = viewer.layers.selection.active
    marks.brush_size = 24
    for place, mark in (((179, 124), 1), ((231, 154), 1), ((152, 72), 2)):
        marks.paint(place, mark)
    widget.refresh()


def _doctor(viewer: napari.Viewer, panel: Panel) -> None:
    samples.nuclei().add_to(viewer)
    widget = opened(viewer, panel)
    if not until(lambda: bool(widget.found)):
        sys.exit(f"The doctor did not finish: {widget.status.text()}")


def _made(viewer: napari.Viewer, panel: Panel) -> None:
    (segment,) = (each for each in panels() if each.name == "segment")
    _segment(viewer, segment)
    viewer.window.remove_dock_widget("all")
    viewer.layers.selection.active = viewer.layers[-1]
    opened(viewer, panel)


def _models(viewer: napari.Viewer, panel: Panel) -> None:
    samples.neuron_phase().crop(PART).add_to(viewer)
    widget = opened(viewer, panel)
    widget.models.choose("phase-to-dapi")
    settle(1)


SCENES: dict[str, Callable[[Any, Panel], None]] = {
    "stain": _stain,
    "segment": _segment,
    "synthesize": _synthesize,
    "compare": _compare,
    "train": _train,
    "correct": _correct,
    "doctor": _doctor,
    "made": _made,
    "models": _models,
}

if __name__ == "__main__":
    main(sys.argv[1:])
