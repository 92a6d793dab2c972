"""What is refused before a run, and what is only remarked."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_tincture.errors import InputError, OutputError
from napari_tincture.models import Channel, ModelCard
from napari_tincture.widgets import _plan
from napari_tincture.widgets._inputs import Origin
from napari_tincture.widgets._output import check_path
from napari_tincture.widgets._plan import Choices, make_plan

CARD = ModelCard(
    name="grey", task="stain", architecture="unet", inputs=(Channel("in"),),
    outputs=(Channel("out"), Channel("other")),
)  # fmt: skip
CHOICES = Choices(
    task="stain", model="grey", layer="cells", origins=(Origin("cells", "", 0, "cells"),)
)
Memory = namedtuple("Memory", "available")  # noqa: PYI024 - as psutil's own


@pytest.fixture
def viewer() -> Any:
    viewer = ViewerModel()
    viewer.add_image(
        np.zeros((3, 40, 50), np.uint8), name="cells", axis_labels=("t", "y", "x"),
        scale=(1, 0.5, 0.5), units=("s", "um", "um"),
    )  # fmt: skip
    return viewer


def test_a_plan_says_how_large_the_job_is(viewer: Any) -> None:
    plan = make_plan(viewer, CHOICES, CARD)
    assert plan.size == "50 × 40 px, 3 planes"
    assert plan.notes == ()
    assert plan.settings.region is None
    assert plan.settings.channels == ((0, "", 0),)


def test_a_plane_is_a_region_along_its_axis(viewer: Any) -> None:
    viewer.dims.set_point(0, 2)
    plan = make_plan(viewer, replace(CHOICES, planes="shown"), CARD)
    assert plan.settings.region == {"t": (2, 3)}
    assert plan.size == "50 × 40 px"


def test_memory_is_compared_with_the_result(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 3 * 40 * 50 * 2 * 4
    for available, outcome in [(3 * needed, ()), (needed, ("safer",)), (needed - 1, None)]:
        monkeypatch.setattr(_plan.psutil, "virtual_memory", lambda a=available: Memory(a))
        if outcome is None:
            with pytest.raises(InputError, match="Choose a file on disk"):
                make_plan(viewer, CHOICES, CARD)
            assert make_plan(viewer, replace(CHOICES, save_to="a.zarr"), CARD).notes == ()
        else:
            notes = make_plan(viewer, CHOICES, CARD).notes
            assert len(notes) == len(outcome)
            assert all(word in note for word, note in zip(outcome, notes, strict=True))


def test_pixel_sizes_within_a_tenth_are_the_same(viewer: Any) -> None:
    assert make_plan(viewer, CHOICES, CARD.replace(pixel_size=0.54)).notes == ()
    other = CARD.replace(pixel_size=0.6)
    with pytest.raises(InputError, match="any pixel size"):
        make_plan(viewer, CHOICES, other)
    plan = make_plan(viewer, replace(CHOICES, any_pixel_size=True), other)
    assert len(plan.notes) == 1
    assert plan.settings.options == {"pixel_size": "ignore"}


def test_what_is_missing_is_named(viewer: Any) -> None:
    with pytest.raises(InputError, match="Open an image"):
        make_plan(viewer, replace(CHOICES, layer="gone"), CARD)
    with pytest.raises(InputError, match="where in comes from"):
        make_plan(viewer, replace(CHOICES, origins=(None,)), CARD)
    with pytest.raises(InputError, match="Draw a rectangle"):
        make_plan(viewer, replace(CHOICES, region="shape"), CARD)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Choose the file"),
        ("result.png", "must end in"),
        ("nowhere/result.zarr", "There is no folder"),
        ("there.ome.zarr", "exists"),
    ],
)
def test_paths_that_cannot_be_written_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "there.ome.zarr").mkdir()
    with pytest.raises(OutputError, match=message):
        check_path(str(tmp_path / name) if name else name, replace=False)


def test_an_existing_path_may_be_replaced(tmp_path: Path) -> None:
    there = tmp_path / "there.ome.zarr"
    there.mkdir()
    assert check_path(str(there), replace=True) == str(there)
    assert check_path(str(tmp_path / "new.OME.TIF"), replace=False).endswith("new.OME.TIF")
