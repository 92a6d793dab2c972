"""One sheet of what a model does: its pictures are the results, its captions their means."""

from __future__ import annotations

import numpy as np
import pytest
from models import CONTEXT, check_equal, image_of
from PIL import Image
from two_way import noisy, two_way

import napari_tincture as nt
from napari_tincture import Raster, stain
from napari_tincture.errors import InputError, OutputError
from napari_tincture.models.card import Channel
from napari_tincture.placement import Placement
from napari_tincture.tasks import _sheet_figure
from napari_tincture.tasks import process_sheet as module
from napari_tincture.tasks._pictures import picture_of
from napari_tincture.tasks._sheet_figure import Row

PLACE = Placement.build("cyx", scale=(1, 0.5, 0.5), units=("pixel", "um", "um"))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """Rows that sheets were drawn of."""
    rows: list[Row] = []

    def write(found, title, target):
        rows.extend(found)
        return _sheet_figure.write_sheet(found, title, target)

    monkeypatch.setattr(module, "write_sheet", write)
    return rows


def cells(shape=(2, 60, 66)) -> Raster:
    return Raster.from_array(image_of(shape), "cyx", name="cells", placement=PLACE)


def test_pictures_are_the_results(drawn: list[Row], tmp_path) -> None:
    model = two_way("ugatit", "ugatit")
    path = nt.process_sheet(cells(), model, tmp_path / "sheet.png", tile=40, context="exact")
    with Image.open(path) as sheet:
        assert min(sheet.size) > 500
    (row,) = drawn
    names = ("image", "heatmap", "reconstruction", "cycle_error", "realism")
    assert set(row.planes) == {*names, "input", "heatmap back"}
    expected = stain(cells(), model, outputs=names, tile=40, context="exact").compute()
    for name in names:
        check_equal(row.planes[name], expected[name], CONTEXT)
    check_equal(row.planes["input"], np.asarray(cells()) / 127.5 - 1, 1e-6)
    mean, spread = row.figures["cycle_error"]
    assert mean == pytest.approx(expected["cycle_error"].mean(), rel=1e-3)
    assert spread == pytest.approx(expected["cycle_error"].std(), rel=1e-3)


def test_the_heat_map_of_the_way_back_is_that_of_the_stain(drawn: list[Row], tmp_path) -> None:
    import torch

    model = two_way("patch", "ugatit")
    nt.process_sheet(cells((2, 64, 64)), model, tmp_path / "sheet.png", context="exact")
    (row,) = drawn
    image = torch.from_numpy(np.asarray(row.planes["image"]))[None]
    with torch.inference_mode():
        heat = model.part("backward").detailed(image)["heatmap"]
    heat = (heat - heat.min()) / (heat.max() - heat.min())
    small = np.asarray(row.planes["heatmap back"]).reshape(16, 4, 16, 4).mean((1, 3))
    assert np.corrcoef(small.ravel(), heat.ravel())[0, 1] > 0.95


def test_a_grey_image_goes_to_all_grey_inputs(drawn: list[Row], tmp_path) -> None:
    model = two_way("ugatit")
    model = model.with_card(model.card.replace(inputs=(Channel("grey 1"), Channel("grey 2"))))
    grey = Raster.from_array(image_of((1, 40, 44))[0], "yx")
    nt.process_sheet(grey, model, tmp_path / "sheet.png", context="exact")
    first, second = np.asarray(drawn[0].planes["input"])
    np.testing.assert_array_equal(first, second)
    # Drawn, they are the grey image again, not twice as bright.
    plane = drawn[0].planes["input"]
    alone = Raster.from_array(first, "yx", display={"limits": plane.display["limits"][:1]})
    np.testing.assert_array_equal(picture_of(plane), picture_of(alone))


def test_both_directions(drawn: list[Row], tmp_path) -> None:
    target = Raster.from_array(image_of((2, 40, 40), seed=8), "cyx", name="stained")
    path = nt.process_sheet(
        cells(), two_way(), tmp_path / "sheet.svg", target=target, region={"y": (0, 40)}
    )
    assert "backward: stained" in path.read_text()
    assert [(row.way, row.name) for row in drawn] == [("forward", "cells"), ("backward", "stained")]
    assert drawn[0].planes["image"].shape == (2, 40, 66)


def test_of_a_large_image_the_middle(drawn, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIDE", 24)
    stack = Raster.from_array(image_of((2, 3, 60, 20)), "czyx", name="stack")
    nt.process_sheet(stack, noisy(back=False), tmp_path / "sheet.png")
    (row,) = drawn
    assert set(row.planes) == {"input", "image"}
    assert row.planes["input"].shape == (2, 24, 20)
    part = np.asarray(stack)[:, 1, 18:42]
    check_equal(row.planes["input"], part / 127.5 - 1, 1e-6)


def test_what_cannot_be_drawn_is_refused(tmp_path) -> None:
    with pytest.raises(OutputError, match=r"\.png, \.pdf, \.svg"):
        nt.process_sheet(cells(), two_way(), tmp_path / "sheet.txt")
    with pytest.raises(InputError, match="one direction"):
        nt.process_sheet(cells(), noisy(back=False), tmp_path / "sheet.png", target=cells())
