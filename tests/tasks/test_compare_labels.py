"""Label images are compared as objects, classes and boundaries, by regions, on any grid."""

from __future__ import annotations

import math

import dask.array as da
import numpy as np
import pytest
from scipy.stats import pearsonr

from napari_tincture import Comparison, Raster, compare, list_metrics
from napari_tincture.errors import InputError
from napari_tincture.metrics.labels import stream
from napari_tincture.metrics.labels.registry import find_label_metric
from napari_tincture.placement import Placement

SIDE = 96


def squares(*corners: tuple[int, int], side: int = 8, first: int = 1) -> np.ndarray:
    labels = np.zeros((SIDE, SIDE), np.int32)
    for number, (y, x) in enumerate(corners, first):
        labels[y : y + side, x : x + side] = number
    return labels


def as_labels(array: np.ndarray, name: str = "", chunks=(40, 29), **place) -> Raster:
    return Raster.from_array(
        da.from_array(array, chunks=chunks), "yx", kind="labels", name=name,
        placement=Placement.build(("y", "x"), **place),
    )  # fmt: skip


EXPECTED = squares((2, 2), (2, 30), (30, 2), (50, 50), (70, 70))
FOUND = squares((2, 2), (3, 30), (50, 50), (80, 5), first=7)


def test_objects_by_default() -> None:
    (row,) = compare(as_labels(FOUND, "found"), as_labels(EXPECTED)).table
    assert (row["image"], row["found"], row["expected"]) == ("found", 4, 5)
    assert row["count_difference"] == -1
    assert row["precision_50"] == 3 / 4
    assert row["recall_50"] == 3 / 5
    assert row["precision_75"] == 3 / 4  # the moved one shares 7 of 9 rows
    assert row["sq"] == pytest.approx((1 + 1 + 7 / 9) / 3, rel=1e-12)


def test_one_row_per_image_region_and_plane() -> None:
    stack = np.stack([EXPECTED, EXPECTED.T])
    reference = Raster.from_array(stack, "zyx", kind="labels")
    images = [Raster.from_array(s, "zyx", kind="labels") for s in (stack, np.roll(stack, 3, -1))]
    found = compare(images, reference, regions="grid:48")
    assert len(found.table) == 2 * 2 * 4
    assert [row["z"] for row in found.table[:8]] == [0] * 4 + [1] * 4
    assert found.table[0]["region"] == "y 0, x 0"
    assert all(row["f1_50"] == 1 for row in found.table[:8] if row["expected"])
    assert any("cut where their region ends" in note for note in found.notes)


def test_metrics_of_classes_share_a_table_of_counts(monkeypatch) -> None:
    classes, wrong = (EXPECTED > 0).astype(np.uint8), (FOUND > 0).astype(np.uint8)
    read = []
    plain = stream.overlaps_of

    def counted(*arguments, **rest):
        read.append(1)
        return plain(*arguments, **rest)

    for name in ("objects", "classes"):
        monkeypatch.setattr(type(find_label_metric(name)), "count", staticmethod(counted))
    names = ["classes", "boundaries", "objects"]
    found = compare(as_labels(wrong), as_labels(classes), metrics=names)
    (row,) = found.table
    assert len(read) == 1
    assert row["accuracy"] == np.mean(classes == wrong)
    both, either = ((classes & wrong).sum(), (classes | wrong).sum())
    assert row["iou_1"] == both / either
    assert 0 < row["mean_boundary_f1"] < 1
    assert found.better["iou_1"] == found.better["mean_boundary_f1"] == "higher"
    assert found.better["voi_split"] == "lower"
    assert "expected" not in found.better


def test_a_mask_and_a_region_leave_out_the_rest() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, :48] = True
    (row,) = compare(as_labels(FOUND), as_labels(EXPECTED), mask=mask).table
    assert (row["found"], row["expected"]) == (3, 3)
    (row,) = compare(as_labels(FOUND), as_labels(EXPECTED), region={"y": (40, 96)}).table
    assert (row["found"], row["expected"]) == (2, 2)


def test_other_grids_are_read_where_they_lie() -> None:
    fine = np.kron(EXPECTED, np.ones((2, 2), np.int32))
    place = {"scale": (0.5, 0.5), "translate": (-0.25, -0.25), "units": "µm"}
    found = compare(as_labels(fine, "fine", **place), as_labels(EXPECTED, units="µm"))
    assert found.table[0]["aji"] == 1
    assert "nearest" in found.settings["grid"]["fine"]


def test_stained_cells_of_all_cells() -> None:
    cells = squares(*[(y, x) for y in range(2, 90, 16) for x in range(2, 90, 16)])
    expected, virtual = np.where(cells % 3 == 0, 1, 0), np.where(cells % 4 == 0, 1, 0)
    found = compare(
        as_labels(virtual, "virtual"), as_labels(expected), cells=as_labels(cells),
        metrics=["classes"],
    )  # fmt: skip
    (row,) = found.table
    assert row["cells"] == 36
    assert row["stained_expected"] == pytest.approx(100 * 12 / 36)
    assert row["stained_found"] == pytest.approx(100 * 9 / 36)
    assert row["stained_difference"] == pytest.approx(-100 * 3 / 36)
    empty = compare(as_labels(virtual), as_labels(expected), cells=np.zeros_like(cells))
    assert math.isnan(empty.table[0]["stained_found"])
    assert "there are no objects" in " ".join(empty.notes)


def test_cells_outside_what_an_image_covers_do_not_count() -> None:
    cells = squares((2, 2), (2, 30), (70, 70))
    half = as_labels((cells > 0)[:48].astype(np.uint8), chunks=(20, 20), units="µm")
    whole = as_labels((cells > 0).astype(np.uint8), units="µm")
    (row,) = compare(half, whole, cells=as_labels(cells, units="µm")).table
    assert (row["cells"], row["stained_found"], row["stained_expected"]) == (2, 100, 100)


def test_agreement_of_counts_over_regions() -> None:
    found = compare(as_labels(FOUND, "found"), as_labels(EXPECTED), regions="grid:32")
    a, b = (np.array([row[c] for row in found.table], float) for c in ("found", "expected"))
    (line,) = found.agreement()
    assert line["rows"] == 9
    assert line["difference"] == pytest.approx((a - b).mean())
    assert line["high"] - line["low"] == pytest.approx(2 * 1.96 * (a - b).std(ddof=1))
    r = pearsonr(a, b).statistic
    assert line["concordance"] == pytest.approx(
        2 * r * a.std() * b.std() / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    )
    (single,) = compare(as_labels(FOUND), as_labels(EXPECTED)).agreement()
    assert math.isnan(single["low"])
    with pytest.raises(InputError, match="no column 'cats'"):
        found.agreement("cats")


def test_several_comparisons_make_one_table() -> None:
    parts = [
        compare(as_labels(FOUND, "found"), as_labels(EXPECTED, name)) for name in ("one", "two")
    ]
    joined = Comparison.join(parts)
    assert [row["image"] for row in joined.table] == ["found", "found to two"]
    assert [s["reference"] for s in joined.settings["comparisons"]] == ["one", "two"]
    assert len(joined.agreement()) == 2
    (line,) = joined.summary(by=None)
    assert (line["rows"], line["found sd"]) == (2, 0)
    assert line["ap"] == joined.table[0]["ap"]
    with pytest.raises(InputError, match="no comparisons"):
        Comparison.join([])


def test_metrics_of_the_other_kind_are_refused_by_name() -> None:
    labels, image = as_labels(EXPECTED), np.zeros((SIDE, SIDE), np.uint8)
    names = "boundaries", "classes", "foreground_rand", "object_surfaces", "objects"
    names += "pixel_error", "surfaces", "thinned_rand", "warping"
    assert list_metrics("labels") == names
    assert "ssim" in list_metrics()
    with pytest.raises(InputError, match=r"'ssim'.*boundaries, classes, .*, warping"):
        compare(labels, labels, metrics=["ssim"])
    with pytest.raises(InputError, match=r"'objects'.*ssim"):
        compare(image, image, metrics=["objects"])
    with pytest.raises(InputError, match="Segment the images first"):
        compare(image, image, cells=labels)
    with pytest.raises(InputError, match=r"kind 'image'.*kind 'labels'"):
        compare(image, labels)
    with pytest.raises(InputError, match=r"cells=.*float"):
        compare(labels, labels, cells=np.zeros((SIDE, SIDE)))
