"""Regions and masks say the same of every pixel, whatever they were given as."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tincture import Raster, compare
from napari_tincture.errors import InputError
from napari_tincture.placement import Placement
from napari_tincture.tasks._areas import areas_of

SHAPE = (60, 80)
SQUARE = np.array([[10, 20], [10, 40], [30, 40], [30, 20]])


def raster(values=None, **place) -> Raster:
    values = np.zeros(SHAPE, np.float32) if values is None else values
    kind = "labels" if values.dtype.kind in "iu" else "image"
    return Raster.from_array(
        values, "yx", kind=kind, placement=Placement.build(("y", "x"), **place)
    )


def whole(areas) -> np.ndarray:
    return areas.at((slice(0, SHAPE[0]), slice(0, SHAPE[1])))


def test_a_grid_covers_every_pixel_once_at_any_place() -> None:
    (areas,) = areas_of(raster(), "grid:25", None)
    ids = whole(areas)
    assert sorted(np.unique(ids)) == list(range(12))
    assert areas.names[-1] == "y 50, x 75"
    assert (areas.at((slice(7, 55), slice(30, 77))) == ids[7:55, 30:77]).all()
    for name, ((y0, y1), (x0, x1)) in areas.boxes.items():
        number = areas.names.index(name)
        assert (ids[y0:y1, x0:x1] == number).all()
        assert (ids == number).sum() == (y1 - y0) * (x1 - x0)


def test_labels_are_regions_on_any_grid() -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[5:20, 5:20], labels[30:50, 40:70] = 7, 900
    (areas,) = areas_of(raster(), raster(labels), None)
    assert areas.names == ("7", "900")
    assert (whole(areas) == np.select([labels == 7, labels == 900], [0, 1], -1)).all()
    coarse = raster(labels[::5, ::5], scale=(5, 5), translate=(2, 2))
    (areas,) = areas_of(raster(), coarse, None)
    assert (whole(areas)[5:20, 5:20] == 0).all()
    assert (whole(areas)[30:50, 40:70] == 1).all()
    with pytest.raises(InputError, match="hold no region"):
        areas_of(raster(), raster(np.zeros(SHAPE, np.int32)), None)


def test_polygons_that_overlap_are_measured_apart() -> None:
    groups = areas_of(
        raster(), {"one": SQUARE, "two": SQUARE + 5, "far": SQUARE + np.array([0, 40])}, None
    )
    assert [areas.names for areas in groups] == [("one", "far"), ("two",)]
    assert (whole(groups[0])[10:31, 20:41] == 0).all()
    values = np.random.default_rng(0).random(SHAPE, np.float32)
    found = compare(values, 1 - values, data_range=1, metrics=["mse"], regions=[SQUARE, SQUARE + 5])
    assert [row["region"] for row in found.table] == ["1", "2"]
    part = 2 * values[15:36, 25:46].astype(float) - 1
    assert found.table[1]["mse"] == pytest.approx(np.mean(part**2), rel=1e-6)


def test_shapes_lie_where_their_layer_lies() -> None:
    layers = pytest.importorskip("napari.layers")
    ellipse = np.array([[10, 10], [10, 30], [50, 30], [50, 10]])
    layer = layers.Shapes(
        [SQUARE, ellipse], shape_type=["polygon", "ellipse"], scale=(0.5, 0.5), units="µm",
        name="drawn",
    )  # fmt: skip
    inside = [whole(a) >= 0 for a in areas_of(raster(scale=(0.5, 0.5), units="µm"), layer, None)]
    area = sum(int(mask.sum()) for mask in inside)
    square = whole(areas_of(raster(scale=(1, 1), units="µm"), layer, None)[0]) == 0
    assert square[5:16, 10:21].all()
    assert square.sum() == 11 * 11
    # A square of 21 × 21 pixels and half axes of 20 and 10, where they do not hide each other.
    assert area == pytest.approx(21 * 21 + np.pi * 20 * 10, rel=0.05)


def test_shapes_that_are_no_areas_are_named() -> None:
    layers = pytest.importorskip("napari.layers")
    line = layers.Shapes([np.array([[0, 0], [5, 5]])], shape_type="line", name="drawn")
    with pytest.raises(InputError, match="Shape 1 of 'drawn' is a line"):
        areas_of(raster(), line, None)
    with pytest.raises(InputError, match="'drawn' is empty"):
        areas_of(raster(), layers.Shapes(ndim=2, name="drawn"), None)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ("squares", r"expected 'grid:256'"),
        ("grid:0", r"expected 'grid:256'"),
        ([np.zeros((2, 2))], r"three or more corners"),
        (["left"], r"three or more corners"),
        ([SQUARE + 1000], r"outside the reference"),
    ],
)
def test_regions_that_cannot_be_read(regions, message) -> None:
    with pytest.raises(InputError, match=message):
        areas_of(raster(), regions, None)


def test_a_mask_leaves_out_pixels_of_every_region() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[:, :30] = True
    (areas,) = areas_of(raster(), "grid:40", mask)
    ids = whole(areas)
    assert (ids[:, 30:] == -1).all()
    assert set(np.unique(ids[:, :30])) == {0, 2}
    (areas,) = areas_of(raster(), None, raster(mask.astype(np.uint8), translate=(0, 10)))
    assert (whole(areas)[:, 10:40] == 0).all()
    assert (whole(areas) == 0).sum() == 60 * 30
    with pytest.raises(InputError, match=r"Mask .*float"):
        areas_of(raster(), None, np.zeros((3, 3)))


def test_a_mask_that_excludes_everything_leaves_no_figure() -> None:
    values = np.random.default_rng(0).random(SHAPE, np.float32)
    found = compare(values, values, data_range=1, mask=np.zeros(SHAPE, bool))
    assert np.isnan(found.table[0]["psnr"])
    assert "no pixel counts" in " ".join(found.notes)


def test_tissue_is_dark_in_colours_and_bright_elsewhere() -> None:
    truth = np.zeros(SHAPE, bool)
    truth[20:40, 30:60] = True
    noise = np.random.default_rng(0).normal(0, 3, SHAPE)
    bright = (20 + 150 * truth + noise).clip(0).astype(np.uint8)
    (areas,) = areas_of(Raster.from_array(bright, "yx"), None, "tissue")
    assert ((whole(areas) == 0) == truth).mean() > 0.999
    colour = np.stack([240 - 150 * truth + noise] * 3, axis=-1).clip(0, 255).astype(np.uint8)
    (areas,) = areas_of(Raster.from_array(colour, "yxc", rgb=True), None, "tissue")
    assert ((whole(areas) == 0) == truth).mean() > 0.999
