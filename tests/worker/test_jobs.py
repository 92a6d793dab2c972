"""What napari's process makes of a result: levels to draw, and what a person should know."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest

from napari_tincture.io.pyramid import downsample
from napari_tincture.raster import Raster
from napari_tincture.worker import jobs
from napari_tincture.worker.jobs import notes, pyramid
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.sources import attributes
from napari_tincture.worker.wire import Message


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_levels_halve_each_other_whatever_the_strips(
    kind: Literal["image", "labels"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LARGEST_DRAWN", 100)
    monkeypatch.setattr(jobs, "SMALLEST_LEVEL", 40)
    monkeypatch.setattr(jobs, "STRIP", 16)
    array = np.random.default_rng(0).integers(0, 255, (2, 203, 131), dtype=np.uint8)
    levels = pyramid(array, kind)
    assert levels[0] is array
    assert [level.shape[-2:] for level in levels] == [(203, 131), (102, 66), (51, 33), (26, 17)]
    for finer, coarser in pairwise(levels):
        np.testing.assert_array_equal(coarser, downsample(finer, kind))


def test_a_result_that_can_be_drawn_has_one_level() -> None:
    array = np.zeros((5, jobs.LARGEST_DRAWN, 3), np.uint8)
    assert len(pyramid(array, "image")) == 1


def sampled(differ: float | None) -> dict[str, Any]:
    return {"values": {"": {"how": {"context": "sampled", "halves_differ": differ}}}}


def test_what_happened_on_the_way_is_told() -> None:
    assert notes({}) == []
    assert notes({"events": ["batch halved"], "warning": "large"}) == ["batch halved", "large"]
    assert "differ by 0.012" in notes(sampled(0.0123))[0]
    assert "samples" in notes(sampled(None))[0]
    assert notes({"values": {"": {"how": {"context": "exact"}}}}) == []
    seams = {"overlap": 128, "max": [0.5, 0.1], "mean": [0.01, 0.02], "std": [1.0, 0.5]}
    assert "128 pixels" in notes({"seams": seams})[0]
    assert "up to 0.5, on average 0.04 standard" in notes({"seams": seams})[0]


def test_previews_may_be_asked_for_while_the_result_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = jobs.Job(1, JobSettings(task="synthesize", model="any"), (), lambda job: None, "")
    given = Raster.from_array(np.zeros((4, 5), np.uint8), "yx")
    layout = {"attributes": attributes(given), "shape": given.shape, "dtype": "|u1"}
    job.receive(Message("started", {"results": {"": layout}}))
    block = {"name": "", "index": [[0, 4], [0, 5]]}
    job.receive(Message("preview", block, np.full((4, 5), 7, np.uint8)))
    seen: list[Raster | None] = []

    def asked(array: np.ndarray, kind: Literal["image", "labels"]) -> list[np.ndarray]:
        seen.append(job.preview())
        return [array]

    monkeypatch.setattr(jobs, "pyramid", asked)
    job.receive(Message("finished", {"facts": {"results": {"": {"provenance": {}}}}}))
    assert job.error is None
    assert seen[0] is not None
    assert job.preview() is None
