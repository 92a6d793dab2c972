"""Live layers in a real window, driven by the camera."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.io.pyramid import downsample
from napari_tincture.tiling.live import LivePyramid
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._legend import Legend
from napari_tincture.widgets._live import _VIEWS, LiveView, view_of
from napari_tincture.widgets.segment import SegmentPanel
from napari_tincture.widgets.stain import StainPanel
from napari_tincture.worker.jobs import State

PATIENCE = 60_000
SCALE = {"scale": (0.5, 0.25), "translate": (7, -3), "units": ("micrometer", "micrometer")}

Open = Callable[..., Any]
Models = dict[str, Path]


def cells(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = rng.normal(20, 4, shape)
    y, x = np.ogrid[: shape[-2], : shape[-1]]
    for cy, cx in rng.uniform(10, min(shape[-2:]) - 10, (12, 2)):
        image += 120 * np.exp(-((y - cy) ** 2) / 60) * np.exp(-((x - cx) ** 2) / 60)
    return image.clip(0, 255).astype(np.uint8)


def camera_of(viewer: Any) -> Any:
    return getattr(viewer, "scene", viewer).camera


def filled(qtbot: Any, view: LiveView) -> None:
    """Wait until all of the screen has come."""
    qtbot.waitUntil(lambda: view.status.done > 0 and not view.status.queued, timeout=PATIENCE)
    # What was told of in another thread is shown in the next frame.
    qtbot.waitUntil(lambda: not (view._told or view._frame.isActive()), timeout=PATIENCE)


def run_live(qtbot: Any, viewer: Any, panel: Any) -> LiveView:
    """Run a panel with live output, as a click does."""
    before = set(_VIEWS)
    panel.output.kind.value = "live"
    panel.refresh()
    assert panel.runner.run_button.isEnabled(), panel.message.text()
    panel.runner.run_button.click()
    qtbot.waitUntil(lambda: bool(set(_VIEWS) - before), timeout=PATIENCE)
    (view,) = set(_VIEWS) - before
    assert all(layer in viewer.layers for layer in view.layers)
    filled(qtbot, view)
    return view


def known(view: LiveView, plane: tuple[int, ...] = ()) -> np.ndarray:
    """What is known of a plane's level 0, (c, y, x)."""
    height, width = view.pyramid.layout.shape
    return view.pyramid.mosaic.read(plane, 0, slice(0, height), slice(0, width))


@pytest.mark.parametrize(
    ("model", "shape", "options"),
    [
        ("stain", (150, 170), SCALE),
        ("stain", (3, 100, 90), {"axis_labels": ("t", "y", "x")}),
        ("rgb", (100, 90, 3), {"rgb": True}),
        ("planes", (3, 100, 90), {"axis_labels": ("z", "y", "x")}),
    ],
)
def test_what_is_on_screen_fills_in_with_the_pixels_of_the_task(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, model: str, shape: Any,
    options: dict[str, Any],
) -> None:  # fmt: skip
    image = cells(*shape) if model != "rgb" else np.moveaxis(cells(3, *shape[:2]), 0, -1)
    source = viewer.add_image(image, name="cells", **options)
    expected = nt.stain(source, model_paths[model])
    panel = open_panel(StainPanel, model_paths[model])
    view = run_live(qtbot, viewer, panel)
    plane = tuple(viewer.dims.current_step[: len(view.pyramid.layout.leading)])
    values = np.asarray(expected)
    values = values[plane] if plane else values
    found = known(view, plane)
    if model == "rgb":
        assert (found[3] == 255).all()
        found = found[:3]
    np.testing.assert_array_equal(found, values.reshape(found.shape))
    for layer in view.layers:
        assert layer.multiscale
        assert layer.scale[-1] == source.scale[-1]
        assert layer.units[-2:] == source.units[-2:]
        assert layer.metadata["napari_tincture"]["provenance"]["steps"][-1]["step"] == "stain"
    assert len(view.layers) == (2 if model == "planes" else 1)
    if plane:  # the other planes are computed when they are shown
        other = (plane[0] - 1 if plane[0] else 1,)
        assert np.isnan(known(view, other)).all()
        viewer.dims.set_current_step(0, other[0])
        qtbot.waitUntil(lambda: np.isfinite(known(view, other)).all(), timeout=PATIENCE)


@pytest.mark.slow
def test_the_camera_decides_what_is_computed(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    image = cells(4096, 4096)
    viewer.add_image(image, name="cells")
    camera = camera_of(viewer)
    camera.center, camera.zoom = (500, 500), 4.0
    panel = open_panel(StainPanel, model_paths["stain"])
    view = run_live(qtbot, viewer, panel)
    layer = view.layers[0]
    assert view.status.total == 16
    assert view.status.done == 1
    drawn = np.asarray(layer._slice.image.raw)
    assert np.isfinite(drawn).all()
    camera.center = (500, 1024)
    qtbot.waitUntil(lambda: view.status.done == 2, timeout=PATIENCE)
    camera.center = (3500, 3500)
    qtbot.waitUntil(lambda: view.status.done == 3, timeout=PATIENCE)
    held = [i for i in range(16) if view.pyramid.mosaic.holds((), 0, divmod(i, 4))]
    assert held == [0, 1, 15]
    # The lowest level, which napari holds, was filled in place.
    filled(qtbot, view)
    lowest = layer.data[-1]
    assert isinstance(lowest, np.ndarray)
    assert np.isfinite(lowest[:128, :256]).all()
    assert np.isnan(lowest[128:384]).all()
    tile = known(view)[:, :1024, :1024]
    for _ in range(3):
        tile = downsample(tile, "image")
    np.testing.assert_array_equal(lowest[:128, :128], tile[0])
    # Half a screen of what is known, half of what is not: there, nothing is drawn.
    viewer.layers["cells"].visible = False
    view.pyramid.lose("The test has taken the worker away.")
    camera.center = (3500, 3072)
    qtbot.waitUntil(lambda: not view._moved and not view._frame.isActive(), timeout=PATIENCE)
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    left, right = np.array_split(picture[20:-20], 2, axis=1)
    assert left[:, 20:-20].std(axis=(0, 1)).max() == 0
    assert right[:, 20:-20].std(axis=(0, 1)).max() > 1


def test_a_hidden_layer_and_three_dimensions_compute_nothing(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    viewer.add_image(cells(3, 100, 90, seed=7), name="cells", axis_labels=("z", "y", "x"))
    panel = open_panel(StainPanel, model_paths["stain"])
    view = run_live(qtbot, viewer, panel)
    done = view.status.done
    view.layers[0].visible = False
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: not view._moved, timeout=PATIENCE)
    viewer.dims.ndisplay = 3
    view.layers[0].visible = True
    qtbot.waitUntil(lambda: not view._moved and not view._frame.isActive(), timeout=PATIENCE)
    assert view.status.done == done
    shown = np.asarray(view.layers[0]._slice.image.raw)
    assert 0 < np.isfinite(shown).sum() < shown.size
    viewer.dims.ndisplay = 2
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: view.status.done > done, timeout=PATIENCE)


def test_objects_are_shown_live(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    source = viewer.add_image(cells(150, 170), name="cells", **SCALE)
    panel = open_panel(SegmentPanel, model_paths["segment"])
    view = run_live(qtbot, viewer, panel)
    (layer,) = view.layers
    assert type(layer).__name__ == "Labels"
    expected = np.asarray(nt.segment(source, model_paths["segment"]).data)
    np.testing.assert_array_equal(known(view)[0] > 0, expected > 0)
    assert expected.max() > 0


def test_finish_and_save_give_the_numbers_on_screen(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, tmp_path: Path
) -> None:
    viewer.add_image(cells(3, 100, 90, seed=5), name="cells", axis_labels=("t", "y", "x"))
    panel = open_panel(StainPanel, model_paths["stain"])
    view = run_live(qtbot, viewer, panel)
    assert view.status.done == 1
    qtbot.waitUntil(lambda: "1 of 3 tiles" in panel.live_row.text.text(), timeout=PATIENCE)
    panel.live_row.finish_button.click()
    qtbot.waitUntil(lambda: view.status.done == 3, timeout=PATIENCE)
    qtbot.waitUntil(lambda: not panel.live_row.finish_button.isEnabled(), timeout=PATIENCE)
    assert view.pyramid.values is not None
    path = tmp_path / "saved.ome.zarr"
    job = panel.live_row.save(str(path))
    qtbot.waitUntil(lambda: job.state.final, timeout=PATIENCE)
    assert job.state is State.FINISHED, job.error
    saved = np.asarray(nt.open_image(path))
    for t in range(3):
        np.testing.assert_array_equal(known(view, (t,))[0], saved[t])
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=PATIENCE)


def test_a_panel_takes_what_is_behind_a_live_layer(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    image = cells(150, 170)
    source = viewer.add_image(image, name="cells")
    view = run_live(qtbot, viewer, open_panel(StainPanel, model_paths["stain"]))
    (layer,) = view.layers
    with pytest.raises(InputError, match="another process"):
        np.asarray(nt.open_image(layer))
    panel = open_panel(SegmentPanel, model_paths["segment"], layer=layer.name)
    panel.refresh()
    job = panel.run()
    qtbot.waitUntil(lambda: job.state.final, timeout=PATIENCE)
    assert job.state is State.FINISHED, job.error
    stained = nt.stain(source, model_paths["stain"])
    expected = np.asarray(nt.segment(stained, model_paths["segment"]))
    np.testing.assert_array_equal(np.asarray(job.result), expected)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_killed_worker_is_replaced(
    qtbot: Any, viewer: Any, hub: JobHub, open_panel: Open, model_paths: Models
) -> None:
    viewer.add_image(cells(3, 100, 90, seed=6), name="cells", axis_labels=("t", "y", "x"))
    view = run_live(qtbot, viewer, open_panel(StainPanel, model_paths["stain"]))
    before = hub.client.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    qtbot.waitUntil(lambda: hub.client.pid not in (None, before), timeout=PATIENCE)
    plane = (viewer.dims.current_step[0] + 1) % 3
    viewer.dims.set_current_step(0, plane)
    qtbot.waitUntil(lambda: np.isfinite(known(view, (plane,))).all(), timeout=PATIENCE)
    assert view.status.problem == ""


def test_a_refusal_is_told(
    qtbot: Any, viewer: Any, hub: JobHub, model_paths: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_tincture.widgets import _jobs
    from napari_tincture.worker.settings import JobSettings

    told: list[str] = []
    monkeypatch.setattr(_jobs, "show_error", told.append)
    image = nt.Raster.from_array(cells(40, 40), "yx")
    hub.start_live(viewer, JobSettings(task="segment", model=str(model_paths["stain"])), [image])
    qtbot.waitUntil(lambda: bool(told), timeout=PATIENCE)
    assert "made to stain" in told[0]
    assert hub.client.lives == ()
    assert list(viewer.layers) == []


def test_the_legend_says_how_far_it_is(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    viewer.add_image(cells(100, 90), name="cells")
    first = run_live(qtbot, viewer, open_panel(StainPanel, model_paths["stain"]))
    second = run_live(qtbot, viewer, open_panel(StainPanel, model_paths["stain"]))
    texts = "live: 1 of 1 tiles", "live: 1 of 1 tiles"
    qtbot.waitUntil(
        lambda: (first._legend.text(), second._legend.text()) == texts, timeout=PATIENCE
    )
    assert first._legend.isVisible()
    assert not first._legend.geometry().intersects(second._legend.geometry())
    canvas = viewer.window._qt_window.centralWidget()
    assert len(canvas.findChildren(Legend)) == 2
    first.layers[0].visible = False
    qtbot.waitUntil(lambda: not first._legend.isVisible(), timeout=PATIENCE)
    viewer.layers.remove(second.layers[0])
    assert canvas.findChildren(Legend) == [first._legend]


def test_a_lazy_result_is_shown_live_by_a_thread_of_this_process(
    qtbot: Any, viewer: Any, model_paths: Models
) -> None:
    stained = nt.stain(
        nt.Raster.from_array(cells(150, 170), "yx", name="cells"), model_paths["stain"]
    )
    layer = stained.add_to(viewer, live=True)
    view = view_of(layer)
    assert view is not None
    filled(qtbot, view)
    np.testing.assert_array_equal(known(view)[0], np.asarray(stained))
    # The image behind the layer is the lazy one, not what is known of it.
    np.testing.assert_array_equal(np.asarray(nt.open_image(layer)), np.asarray(stained))
    viewer.layers.remove(layer)
    assert view_of(layer) is None
    qtbot.waitUntil(lambda: not live_threads(), timeout=PATIENCE)


def live_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "tincture-live"]


def test_a_closed_window_ends_its_live_layers(qtbot: Any, model_paths: Models) -> None:
    import napari

    viewer = napari.Viewer(show=True)
    stained = nt.stain(nt.Raster.from_array(cells(150, 170), "yx"), model_paths["stain"])
    stained.add_to(viewer, live=True)
    assert len(_VIEWS) == 1
    viewer.close()
    qtbot.waitUntil(lambda: not _VIEWS and not live_threads(), timeout=PATIENCE)


@pytest.mark.slow
def test_many_lives_leave_neither_threads_nor_memory(
    qtbot: Any, viewer: Any, hub: JobHub, open_panel: Open, model_paths: Models
) -> None:
    source = viewer.add_image(cells(600, 700), name="cells")
    panel = open_panel(StainPanel, model_paths["stain"])
    image = nt.open_image(source)

    def one_life(in_worker: bool) -> None:
        if in_worker:
            view = run_live(qtbot, viewer, panel)
        else:
            nt.stain(image, model_paths["stain"]).add_to(viewer, live=True)
            (view,) = _VIEWS
            filled(qtbot, view)
        viewer.layers.remove(view.layers[0])
        assert not _VIEWS
        assert hub.client.lives == ()
        qtbot.waitUntil(lambda: not live_threads(), timeout=PATIENCE)

    def state() -> tuple[int, int, int, int]:
        gc.collect()
        worker = psutil.Process(hub.client.pid)
        memory = psutil.Process().memory_info().rss + worker.memory_info().rss
        views = sum(type(o) in (LiveView, LivePyramid) for o in gc.get_objects())
        return threading.active_count(), worker.num_threads(), views, memory

    for number in range(6):
        one_life(number % 2 == 0)
    before = state()
    for number in range(12):
        one_life(number % 2 == 0)
    after = state()
    assert after[0] <= before[0]
    assert after[1] <= before[1]
    assert after[2] <= before[2] <= 4
    # A life holds about 5 MB of pixels: that of each would be 60 MB.
    assert after[3] - before[3] < 40 * 2**20
    assert panel.message.level is not Level.PROBLEM
