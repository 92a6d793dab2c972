"""Cancelling, queues, killed workers, deleted layers: nothing crashes and every end is told."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tincture.widgets import _jobs
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets.segment import SegmentPanel
from napari_tincture.widgets.stain import StainPanel
from napari_tincture.worker.jobs import State

pytestmark = pytest.mark.slow

PATIENCE = 90_000

Open = Callable[..., Any]
Models = dict[str, Path]


@pytest.fixture
def hub(fake_hub: JobHub, monkeypatch: pytest.MonkeyPatch) -> JobHub:
    """A hub whose worker runs fake tasks, one for every kind of end."""
    monkeypatch.setattr(_jobs, "_HUBS", [fake_hub])
    return fake_hub


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What was shown as notifications."""
    heard: dict[str, list[str]] = {"error": [], "warning": []}
    monkeypatch.setattr(_jobs, "show_error", heard["error"].append)
    monkeypatch.setattr(_jobs, "show_warning", heard["warning"].append)
    return heard


def panel_for(open_panel: Open, models: Models, task: str, panel_class: type = StainPanel) -> Any:
    """A panel whose Run starts a fake task."""
    panel = open_panel(panel_class, models[panel_class.task])
    panel.task = task
    return panel


def ended(qtbot: Any, panel: Any) -> State:
    qtbot.waitUntil(lambda: panel._job.state.final, timeout=PATIENCE)
    qtbot.waitUntil(lambda: not panel.runner.cancel_button.isEnabled(), timeout=PATIENCE)
    return panel._job.state


def test_cancel_stops_a_job_and_leaves_no_layer(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, told: dict[str, list[str]]
) -> None:
    viewer.add_image(np.zeros((4000, 8), np.uint8))
    panel = panel_for(open_panel, model_paths, "endless")
    panel.runner.run_button.click()
    qtbot.waitUntil(lambda: panel.runner.bar.value() > 2, timeout=PATIENCE)
    assert panel.runner.bar.maximum() == 4000
    assert "of 4000 tiles" in panel.runner.progress.text()
    panel.runner.cancel_button.click()
    assert ended(qtbot, panel) is State.CANCELLED
    assert panel._job.done < 4000
    assert len(viewer.layers) == 1
    assert panel.runner.status.level is Level.NOTE
    assert told == {"error": [], "warning": []}


def test_two_panels_share_one_queue(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    viewer.add_image(np.zeros((4000, 8), np.uint8), name="cells")
    first = panel_for(open_panel, model_paths, "endless")
    second = panel_for(open_panel, model_paths, "double", SegmentPanel)
    first.run()
    second.run()
    qtbot.waitUntil(lambda: first.runner.bar.value() > 0, timeout=PATIENCE)
    assert second.runner.progress.text() == "waiting for 1 job"
    assert "1 waiting" in first.runner.progress.text()
    first.runner.cancel_button.click()
    assert ended(qtbot, first) is State.CANCELLED
    assert ended(qtbot, second) is State.FINISHED
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_killed_worker_is_told_and_replaced(
    qtbot: Any,
    viewer: Any,
    hub: JobHub,
    open_panel: Open,
    model_paths: Models,
    told: dict[str, list[str]],
) -> None:
    viewer.add_image(np.zeros((4000, 8), np.uint8))
    panel = panel_for(open_panel, model_paths, "endless")
    panel.run()
    qtbot.waitUntil(lambda: panel.runner.bar.value() > 0, timeout=PATIENCE)
    assert hub.client.pid is not None
    os.kill(hub.client.pid, signal.SIGKILL)
    assert ended(qtbot, panel) is State.FAILED
    assert "signal 9" in told["error"][0]
    assert "next Run starts it again" in panel.runner.status.text()
    panel.task = "double"
    panel.run()
    assert ended(qtbot, panel) is State.FINISHED
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)


def test_a_job_survives_its_layer(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    source = viewer.add_image(np.ones((100, 8), np.uint8), name="cells")
    panel = panel_for(open_panel, model_paths, "endless")
    panel.run()
    qtbot.waitUntil(lambda: panel.runner.bar.value() > 0, timeout=PATIENCE)
    viewer.layers.remove(source)
    qtbot.waitUntil(lambda: not panel.runner.run_button.isEnabled(), timeout=PATIENCE)
    assert "Open an image" in panel.message.text()
    assert ended(qtbot, panel) is State.FINISHED
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=PATIENCE)
    np.testing.assert_array_equal(viewer.layers[0].data, np.full((100, 8), 2))


def test_errors_and_warnings_are_notifications(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, told: dict[str, list[str]]
) -> None:
    viewer.add_image(np.zeros((30, 8), np.uint8))
    panel = panel_for(open_panel, model_paths, "refuse")
    panel.run()
    assert ended(qtbot, panel) is State.FAILED
    assert told["error"] == ["Three channels were expected, one came; choose another layer."]
    assert panel.runner.status.level is Level.PROBLEM
    panel.task = "warn"
    panel.run()
    assert ended(qtbot, panel) is State.FINISHED
    assert told["warning"] == ["halved"]


def test_a_job_goes_on_when_its_panel_is_closed(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    viewer.add_image(np.ones((100, 8), np.uint8))
    panel = panel_for(open_panel, model_paths, "endless")
    job = panel.run()
    qtbot.waitUntil(lambda: job.done > 0, timeout=PATIENCE)
    viewer.window.remove_dock_widget(panel)
    panel.deleteLater()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE)
    assert job.state is State.FINISHED


def test_a_closed_window_cancels_its_jobs(
    qtbot: Any, hub: JobHub, model_paths: Models, told: dict[str, list[str]]
) -> None:
    import napari

    viewer = napari.Viewer(show=True)
    viewer.add_image(np.zeros((4000, 8), np.uint8))
    panel = StainPanel(viewer)
    viewer.window.add_dock_widget(panel)
    panel.model.choose(str(model_paths["stain"]))
    panel.refresh()
    panel.task = "endless"
    job = panel.run()
    qtbot.waitUntil(lambda: job.done > 0, timeout=PATIENCE)
    viewer.close()
    qtbot.waitUntil(lambda: job.state is State.CANCELLED, timeout=PATIENCE)
    qtbot.waitUntil(lambda: hub.client.pid is None, timeout=PATIENCE)
    assert told == {"error": [], "warning": []}


def test_settings_survive_closing_the_panel(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    viewer.add_image(np.zeros((30, 8), np.uint8))
    first = open_panel(StainPanel, model_paths["sized"], region="viewport")
    first.more.precision.value = "bfloat16"
    first.more.nan_is_background.setChecked(True)
    first.more.seams.value = "blend"
    first.refresh()
    assert first.plan().settings.options == {"nonfinite": "background", "seams": "blend"}
    viewer.window.remove_dock_widget(first)
    second = StainPanel(viewer)
    qtbot.addWidget(second)
    assert second.region.value == "viewport"
    assert second.more.precision.value == "bfloat16"
    assert second.more.nan_is_background.isChecked()
    assert second.more.seams.value == "blend"
    assert second.model.name == str(model_paths["sized"])


def test_the_panel_follows_the_layers(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    panel = open_panel(StainPanel, model_paths["stain"])
    assert "Open an image" in panel.message.text()
    one = viewer.add_image(np.zeros((30, 8), np.uint8), name="one")
    two = viewer.add_image(np.zeros((30, 9), np.uint8), name="two")
    qtbot.waitUntil(lambda: panel.layer.count() == 2, timeout=PATIENCE)
    assert panel.layer.value == "two"
    viewer.layers.selection.active = one
    assert panel.layer.value == "one"
    one.name = "first"
    qtbot.waitUntil(lambda: panel.layer.value == "first", timeout=PATIENCE)
    viewer.layers.remove(two)
    qtbot.waitUntil(lambda: panel.layer.count() == 1, timeout=PATIENCE)
    viewer.layers.clear()
    qtbot.waitUntil(lambda: "Open an image" in panel.message.text(), timeout=PATIENCE)


def test_napari_knows_of_what_closing_would_end(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, hub: JobHub, tmp_path: Path
) -> None:
    manager = viewer.window._qt_window._window._task_status_manager
    viewer.add_image(np.zeros((9, 9), np.uint8), name="slide")
    panel = panel_for(open_panel, model_paths, "wait")
    panel.output.kind.value = "file"
    panel.output.path.setText(str(tmp_path / "slide.ome.zarr"))
    panel.run()
    (told,) = manager.get_status()
    assert "slide" in told
    assert "goes on where it stopped" in told
    manager.cancel_all()  # what napari does when the person closes all the same
    assert ended(qtbot, panel) is State.CANCELLED
    qtbot.waitUntil(lambda: not manager.is_busy(), timeout=PATIENCE)
    panel.output.kind.value = "memory"
    panel.run()
    assert manager.is_busy()
    panel.cancel()
    ended(qtbot, panel)
    qtbot.waitUntil(lambda: not manager.is_busy(), timeout=PATIENCE)


def test_other_pixel_sizes_are_refused_unless_wanted(
    viewer: Any, open_panel: Open, model_paths: Models
) -> None:
    viewer.add_image(np.zeros((30, 8), np.uint8), scale=(1, 1), units=("um", "um"))
    panel = open_panel(StainPanel, model_paths["sized"])
    assert panel.message.level is Level.PROBLEM
    assert "Pixels are 1 µm; the model was made for 0.5" in panel.message.text()
    panel.more.any_pixel_size.setChecked(True)
    panel.refresh()
    assert panel.message.level is Level.NOTE
    assert panel.plan().settings.options["pixel_size"] == "ignore"
