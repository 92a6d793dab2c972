"""A panel on a folder: what `batch` makes of it, and what failed is told at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import napari_tincture as nt
from napari_tincture.errors import InputError
from napari_tincture.widgets import _jobs
from napari_tincture.widgets._batch import batch_settings
from napari_tincture.widgets._form import Level
from napari_tincture.widgets._inputs import Origin
from napari_tincture.widgets.segment import SegmentPanel
from napari_tincture.widgets.stain import StainPanel
from napari_tincture.worker.jobs import Job, State

PATIENCE = 90_000
Open = Callable[..., Any]
Models = dict[str, Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        Image.fromarray(rng.integers(0, 255, (60, 50), dtype=np.uint8)).save(path / f"{name}.png")
    return path


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What napari would show as notifications."""
    texts: list[str] = []
    monkeypatch.setattr(_jobs, "show_warning", texts.append)
    monkeypatch.setattr(_jobs, "show_error", texts.append)
    return texts


def run(qtbot: Any, panel: Any, images: Path, results: Path) -> Job:
    """Fill in the folders and press the button."""
    panel.batch.images.setText(str(images))
    panel.batch.results.setText(str(results))
    panel.batch.button.click()
    job: Job = panel._job
    with qtbot.waitSignal(panel._hub.ended, timeout=PATIENCE, check_params_cb=lambda j: j is job):
        pass
    return job


def test_all_images_of_a_folder(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, folder: Path, told: list[str]
) -> None:
    panel = open_panel(SegmentPanel, model_paths["segment"])
    panel.result.value = "classes"
    out = folder.parent / "out"
    assert not panel.batch.button.isEnabled()
    job = run(qtbot, panel, folder, out)
    assert (job.state, job.summary, told) == (State.FINISHED, "3 done.", [])
    assert (job.done, job.total, job.result) == (3, 3, None)
    for name in ("a", "b", "c"):
        expected = nt.segment(folder / f"{name}.png", model_paths["segment"], output="classes")
        found = nt.open_image(out / f"{name}.ome.zarr")
        np.testing.assert_array_equal(np.asarray(found), expected.compute())
    assert list(viewer.layers) == []
    assert "3 done." in panel.runner.status.text()
    assert run(qtbot, panel, folder, out).summary == "3 skipped."
    panel.batch.replace.setChecked(True)
    assert run(qtbot, panel, folder, out).summary == "3 done."


def test_failures_are_told_once_at_the_end(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, folder: Path, told: list[str]
) -> None:
    (folder / "b.png").write_bytes(b"no image")
    panel = open_panel(StainPanel, model_paths["stain"])
    job = run(qtbot, panel, folder, folder.parent / "out")
    assert job.summary == "2 done, 1 failed."
    (text,) = told
    assert "b.png" in text
    assert "cannot be read" in text
    assert panel.runner.status.level is Level.NOTE
    assert run(qtbot, panel, folder, folder).state is State.FAILED
    assert "Choose another folder for the results" in told[-1]


def test_what_is_missing_is_said(
    qtbot: Any, viewer: Any, open_panel: Open, model_paths: Models, tmp_path: Path
) -> None:
    panel = open_panel(StainPanel, model_paths["stain"])
    panel.batch.images.setText(str(tmp_path / "nowhere"))
    panel.batch.results.setText(str(tmp_path / "out"))
    panel.batch.button.click()
    assert panel._job is None
    assert "There is no folder" in panel.message.text()


def test_channels_of_the_layer_are_taken_of_every_image() -> None:
    folders = ("in", "out")
    second = Origin("cells", "c", 1, "second")
    whole = Origin("cells", "", 0, "the layer")
    assert batch_settings("stain", "m", folders, [second]).channels == ((0, "c", 1),)
    assert batch_settings("stain", "m", folders, [whole]).channels is None
    assert batch_settings("stain", "m", folders, [second, None]).channels is None
    assert batch_settings("stain", "m", folders, []).save_to == "out"
    with pytest.raises(InputError, match="several layers"):
        batch_settings("stain", "m", folders, [second, Origin("other", "", 0, "other")])
