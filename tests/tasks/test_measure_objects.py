"""Figures of objects: scikit-image's, from blocks of any size."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from found import blobs, finder, labels_of
from models import image_of
from skimage.measure import regionprops_table

from napari_tincture import ObjectTable, Raster, measure_objects, open_image, segment
from napari_tincture.errors import InputError, OutputError
from napari_tincture.placement import Placement

NAMES = {
    "label": "label", "area": "area", "centroid-0": "centroid_y", "centroid-1": "centroid_x",
    "bbox-0": "top_px", "bbox-1": "left_px", "bbox-2": "bottom_px", "bbox-3": "right_px",
    "equivalent_diameter_area": "equivalent_diameter", "eccentricity": "eccentricity",
}  # fmt: skip
INTENSITY = {"intensity_mean": "mean", "intensity_min": "min", "intensity_max": "max"}


@pytest.fixture(scope="module")
def field():
    """Labels (y, x) with gaps, one object of one pixel, and an image (c, y, x)."""
    labels = labels_of(blobs((90, 110), 60)).astype("u4") * 3
    labels[2, 3] = 5
    return labels, image_of((2, 90, 110), "uint16")


def by_skimage(labels, image, spacing=(1, 1)):
    properties = sorted({name.rpartition("-")[0] or name for name in NAMES})
    properties += [*INTENSITY]
    return regionprops_table(
        labels.astype(int), np.moveaxis(image, 0, -1), properties=properties, spacing=spacing
    )


def check(table: ObjectTable, expected: dict, channels=("_a", "_b"), shift=(0, 0)) -> None:
    # Sums over a few hundred pixels in another order; eccentricity is a root of a difference.
    for theirs, ours in NAMES.items():
        moved = expected[theirs] + shift[int(theirs[-1])] if "centroid" in theirs else None
        wanted = expected[theirs] if moved is None else moved
        within = {"rtol": 1e-11, "atol": 1e-7 if ours == "eccentricity" else 0}
        np.testing.assert_allclose(table.columns[ours], wanted, **within, err_msg=ours)
    for theirs, ours in INTENSITY.items():
        for number, channel in enumerate(channels):
            column = table.columns[f"intensity_{ours}{channel}"]
            np.testing.assert_allclose(column, expected[f"{theirs}-{number}"], rtol=1e-11)


@pytest.mark.parametrize("chunks", [(90, 110), (13, 17)])
def test_figures_are_those_of_scikit_image_in_pixels(field, chunks):
    import dask.array as da

    labels, image = field
    lazy = open_image(da.from_array(labels, chunks), axes="yx")
    pixels = Raster.from_array(image, "cyx", channels=("a", "b"))
    table = measure_objects(lazy, pixels)
    expected = by_skimage(labels, image)
    check(table, expected)
    assert table.unit == "pixel"
    means = table.columns["intensity_mean_a"] * table.columns["area"]
    np.testing.assert_allclose(table.columns["intensity_sum_a"], means, rtol=1e-12)


def test_figures_in_micrometres_lie_in_the_world(field):
    labels, image = field
    options = {"scale": (500.0, 250.0), "translate": (4000.0, -1000.0), "units": "nm"}
    placement = Placement.build("yx", **options)
    there = Raster.from_array(labels, "yx", kind="labels", placement=placement)
    three = Raster.from_array(
        image, "cyx", channels=("a", "b"), placement=placement.insert(0, "c", "pixel")
    )
    table = measure_objects(there, three)
    expected = by_skimage(labels, image, (0.5, 0.25))
    check(table, expected, shift=(4.0, -1.0))
    assert table.unit == "um"


def test_a_rotation_in_the_world_changes_no_size(field):
    labels, _ = field
    options = {"scale": (0.5, 0.25), "units": "um"}
    flat = Raster.from_array(labels, "yx", placement=Placement.build("yx", **options))
    turn = [[0.6, -0.8], [0.8, 0.6]]
    turned = Placement.build("yx", rotate=turn, **options)
    a, b = (measure_objects(r) for r in (flat, Raster.from_array(labels, "yx", placement=turned)))
    for name in ("area", "eccentricity", "equivalent_diameter"):
        np.testing.assert_allclose(a.columns[name], b.columns[name], rtol=1e-9, atol=1e-7)
    centres = np.stack([a.columns["centroid_y"], a.columns["centroid_x"]])
    rotated = np.stack([b.columns["centroid_y"], b.columns["centroid_x"]])
    np.testing.assert_allclose(rotated, turn @ centres, rtol=1e-9)


def test_a_segmentation_is_measured_by_its_final_numbers_plane_by_plane():
    image = np.stack([blobs((40, 50), 12, seed) for seed in (1, 2)])
    given = open_image(image, axes="zyx")
    result = segment(given, finder(), tile=25)
    table = measure_objects(result, given)
    labels = result.compute()
    rows = [(z, n) for z in range(2) for n in np.unique(labels[z])[1:]]
    assert list(zip(table.columns["z"], table.columns["label"], strict=True)) == rows
    for row in table.rows[::3]:
        own = labels[row["z"]] == row["label"]
        assert row["area"] == own.sum()
        assert row["intensity_max"] == image[row["z"]][own].max()


def test_an_image_is_read_where_the_labels_lie(field):
    labels, image = field
    part = Raster.from_array(labels, "yx", kind="labels").crop({"y": slice(30, 70)})
    channels = open_image(Raster.from_array(image[0], "yx"))
    table = measure_objects(part, channels)
    expected = by_skimage(labels[30:70], image[:1, 30:70])
    np.testing.assert_allclose(table.columns["intensity_mean"], expected["intensity_mean-0"])
    small = measure_objects(Raster.from_array(labels, "yx"), channels.crop({"x": slice(50, 110)}))
    outside = small.columns["right_px"] <= 50
    assert outside.any()
    assert (np.isnan(small.columns["intensity_mean"]) == outside).all()


def test_the_table_as_rows_and_csv_and_features(field, tmp_path):
    labels, image = field
    table = measure_objects(labels, Raster.from_array(image[0], "yx"))
    with table.save(tmp_path / "objects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(table) == len(table.rows)
    assert float(rows[4]["eccentricity"]) == table.rows[4]["eccentricity"]
    assert rows[0]["unit"] == "pixel"
    features = table.features()
    np.testing.assert_array_equal(features["index"], np.unique(labels)[1:])
    again = ObjectTable.from_json(table.to_json())
    assert again.rows == table.rows
    with pytest.raises(OutputError, match=r"\.csv"):
        table.save(tmp_path / "objects.txt")


def test_no_objects():
    table = measure_objects(np.zeros((20, 30), "u1"), np.zeros((20, 30), "f4"))
    assert len(table) == 0
    assert table.rows == []


@pytest.mark.parametrize(
    ("labels", "image", "words"),
    [
        (np.zeros((8, 8), "f4"), None, "float32"),
        (np.zeros((8, 8), "u1"), np.zeros((8, 9)), "8 × 9"),
        (np.zeros((8, 8), "u1"), np.zeros((2, 8, 8)), "planes"),
    ],
)
def test_what_cannot_be_measured(labels, image, words):
    opened = None if image is None else open_image(image, axes="zyx"[-image.ndim :])
    with pytest.raises(InputError, match=words):
        measure_objects(labels, opened)


# Sizes


def test_sizes_in_pixels_and_in_square_micrometres_over_the_cards():
    image = blobs((80, 90), 40)
    areas = np.bincount(labels_of(image, min_size=1).ravel())[1:]
    low, high = np.percentile(areas, [30, 70]).astype(int).tolist()
    expected = labels_of(image, min_size=low, max_size=high)
    assert 0 < expected.max() < labels_of(image).max()
    found = segment(image, finder(), min_size=low, max_size=high, tile=32)
    np.testing.assert_array_equal(found.compute(), expected)
    placed = open_image(image, axes="yx", scale=(0.1, 0.3), units="um")
    limits = {"min_size": low * 0.1 * 0.3, "max_size": high * 0.1 * 0.3}
    same = segment(placed, finder(), **limits, size_unit="um2", pixel_size="ignore")
    np.testing.assert_array_equal(same.compute(), expected)
    with pytest.raises(InputError, match="units"):
        segment(image, finder(), min_size=2.0, size_unit="um2")
