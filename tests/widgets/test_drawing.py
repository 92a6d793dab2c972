"""The layer of an image that is drawn, whatever levels its pixels have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from painters import label_map

from napari_tincture.errors import Cancelled
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster
from napari_tincture.widgets._drawing import Drawing
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.worker import jobs
from napari_tincture.worker.jobs import Job, State
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.sources import attributes
from napari_tincture.worker.wire import Message

SETTINGS = JobSettings(task="synthesize", model="any")
SIDES = (48, 60)
PLACE = Placement.build(("y", "x"), scale=(0.5, 0.5))


@pytest.fixture(autouse=True)
def small_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of this size have several levels, previews have one."""
    monkeypatch.setattr(jobs, "LARGEST_DRAWN", 32)
    monkeypatch.setattr(jobs, "SMALLEST_LEVEL", 32)


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_labels(label_map(*SIDES), name="map")
    return viewer


def begun(drawing: Drawing, number: int, value: int, before: Any = None) -> Job:
    """A job of which a preview has come."""
    job = Job(number, SETTINGS, (), lambda job: None, "")
    drawing.begin(job, "map", SETTINGS, before)
    values = Raster.from_array(np.zeros(SIDES, np.uint8), "yx", name="drawn", placement=PLACE)
    layout = {"attributes": attributes(values), "shape": SIDES, "dtype": "|u1"}
    job.receive(Message("started", {"results": {"": layout}}))
    block = {"name": "", "index": [[0, n] for n in SIDES]}
    job.receive(Message("preview", block, np.full(SIDES, value, np.uint8)))
    drawing.follow(job)
    return job


def finished(drawing: Drawing, job: Job) -> None:
    told = {"provenance": {"task": "synthesize"}}
    job.receive(Message("finished", {"facts": {"results": {"": told}}}))
    drawing.finish(job)
    drawing.end(job)


def shown(viewer: ViewerModel, *, multiscale: bool) -> int:
    """The value that the only image, below its map, shows."""
    image, labels = viewer.layers
    assert (image.name, labels.name) == ("drawn", "map")
    assert (image.multiscale, tuple(image.scale)) == (multiscale, (0.5, 0.5))
    values = np.asarray(image.data[0] if multiscale else image.data)
    assert values.shape == SIDES
    assert viewer.layers.selection == {labels}
    return int(np.unique(values).item())


def test_an_image_of_several_levels_takes_the_place_of_its_preview(viewer: ViewerModel) -> None:
    drawing = Drawing(viewer)
    job = begun(drawing, 1, 7)
    viewer.layers["drawn"].opacity = 0.7
    assert shown(viewer, multiscale=False) == 7
    finished(drawing, job)
    assert shown(viewer, multiscale=True) == 7
    assert viewer.layers["drawn"].opacity == 0.7
    assert "tincture" in str(viewer.layers["drawn"].metadata)


def test_it_is_repainted_and_a_cancelled_change_is_taken_back(viewer: ViewerModel) -> None:
    drawing = Drawing(viewer)
    finished(drawing, begun(drawing, 1, 7))
    first = drawing.scene_of("map", SETTINGS)
    job = begun(drawing, 2, 8, first)
    assert shown(viewer, multiscale=False) == 8
    job.end(State.CANCELLED, Cancelled("enough"))
    drawing.end(job)
    assert shown(viewer, multiscale=True) == 7
    finished(drawing, begun(drawing, 3, 9, drawing.scene_of("map", SETTINGS)))
    assert shown(viewer, multiscale=True) == 9
    # One that ends before anything was seen of it leaves the image as it is.
    job = Job(4, SETTINGS, (), lambda job: None, "")
    drawing.begin(job, "map", SETTINGS, drawing.scene_of("map", SETTINGS))
    job.end(State.CANCELLED, Cancelled("enough"))
    drawing.end(job)
    assert shown(viewer, multiscale=True) == 9


def test_a_job_whose_result_cannot_be_shown_ends_all_the_same(
    hub: JobHub, viewer: ViewerModel
) -> None:
    job, heard = Job(10**6, SETTINGS, (), lambda job: None, ""), []
    for signal in (hub.ended, hub.changed):
        signal.connect(heard.append)
    hub._take(hub.client, viewer, job, lambda job: 1 // 0)
    job.end(State.FINISHED)
    with pytest.raises(ZeroDivisionError):
        hub._on_news(job)
    assert heard == [job, job]
    for signal in (hub.ended, hub.changed):
        signal.disconnect(heard.append)
