from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from label_pairs import GRID, cells, ious, masks, moved, only, rows, same
from skimage.metrics import contingency_table

from napari_tincture.errors import Cancelled, InputError
from napari_tincture.metrics import stream
from napari_tincture.metrics.labels.classes import class_figures
from napari_tincture.metrics.labels.counts import (
    covered,
)
from napari_tincture.metrics.labels.objects import instance_figures
from napari_tincture.metrics.labels.overlap import measure, merge
from napari_tincture.metrics.labels.stream import overlap_of, overlaps_of
from napari_tincture.metrics.registry import find_metric, metric_names
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster

BIG = 2**31 + 5


@pytest.fixture(params=GRID, ids=str)
def images(request) -> tuple[np.ndarray, np.ndarray]:
    shape, objects, dtype = request.param
    expected = cells(1, shape, objects, dtype)
    return moved(expected, 2), expected


def test_table_equals_that_of_scikit_image(images) -> None:
    found, expected = images
    table = contingency_table(expected, found, sparse_type="array").tocoo()
    theirs = dict(
        zip(zip(table.col.tolist(), table.row.tolist(), strict=True), table.data, strict=True)
    )
    overlap = only(found, expected)
    assert rows(overlap) == theirs
    assert overlap.total == found.size
    keys = list(rows(overlap))
    assert keys == sorted(keys)


def test_objects_and_unions(images) -> None:
    found, expected = images
    overlap = only(found, expected)
    assert [m.sum() for m in masks(found)] == overlap.found_objects.pixels.tolist()
    assert [m.sum() for m in masks(expected)] == overlap.expected_objects.pixels.tolist()
    dense = np.zeros((len(masks(found)), len(masks(expected))))
    touching = overlap.touching
    dense[touching.found, touching.expected] = touching.iou
    np.testing.assert_array_equal(dense, ious(found, expected))


@pytest.mark.parametrize("cut", [1, 7, 13, 1000])
def test_merged_parts_are_the_whole(images, cut) -> None:
    found, expected = images
    parts = [
        only(found[y : y + cut, x : x + cut], expected[y : y + cut, x : x + cut])
        for y in range(0, found.shape[0], cut)
        for x in range(0, found.shape[1], cut)
    ]
    same(merge(parts), only(found, expected))
    same(merge([merge(parts[::2]), merge(parts[1::2])]), only(found, expected))


def test_nothing_merges_to_nothing() -> None:
    assert rows(merge([])) == {}


def as_raster(array: np.ndarray, chunks=None, **place) -> Raster:
    data = da.from_array(array, chunks=chunks or array.shape)
    placement = Placement.build(("y", "x"), **place)
    return Raster.from_array(data, "yx", kind="labels", placement=placement)


@pytest.mark.parametrize("area", [5, 16, 1024])
@pytest.mark.parametrize("chunks", [(7, 11), (64, 64), ((3, 30, 31), (50, 1, 13))])
def test_streaming_equals_the_whole_exactly(monkeypatch, area, chunks) -> None:
    monkeypatch.setattr(stream, "AREA", area)
    expected = cells(3, (64, 64), 40)
    found = moved(expected, 4).astype(np.uint16)
    overlap = overlap_of(as_raster(found, (20, 9)), as_raster(expected, chunks))
    same(overlap, only(found, expected))
    assert instance_figures(overlap) == instance_figures(only(found, expected))
    assert class_figures(overlap) == class_figures(only(found, expected))


def test_tables_are_summed_while_they_come(monkeypatch) -> None:
    monkeypatch.setattr(stream, "AREA", 4)
    monkeypatch.setattr("napari_tincture.metrics.labels.stream.LOOSE", 3)
    expected = cells(3, (64, 64), 40)
    found = moved(expected, 4)
    same(overlap_of(as_raster(found), as_raster(expected)), only(found, expected))


@pytest.mark.parametrize("area", [6, 1024])
def test_one_table_per_region(monkeypatch, area) -> None:
    monkeypatch.setattr(stream, "AREA", area)
    expected = cells(5, (30, 40), 9)
    found = moved(expected, 6)
    regions = np.full((30, 40), -1, np.int32)
    regions[2:11, 5:20] = 1
    regions[11:30, 8:33] = 0
    tables = overlaps_of(as_raster(found), as_raster(expected), regions.__getitem__, 3)
    assert len(tables) == 3
    for number, table in enumerate(tables):
        inside = regions == number
        same(table, only(found[inside], expected[inside]))
    assert rows(tables[2]) == {}


def test_a_shifted_image_is_compared_where_it_lies() -> None:
    expected = cells(7, (30, 40), 9)
    found = as_raster(expected[5:25, 8:], translate=(5, 8))
    same(
        overlap_of(found, as_raster(expected)),
        only(expected[5:25, 8:], expected[5:25, 8:]),
    )
    inside = np.zeros(expected.shape, np.int32)
    inside[:15] = -1
    same(
        overlaps_of(found, as_raster(expected), inside.__getitem__)[0],
        only(expected[15:25, 8:], expected[15:25, 8:]),
    )


def test_other_grids_are_sampled_nearest_and_keep_their_labels() -> None:
    fine = np.zeros((40, 60), np.int64)
    fine[4:20, 6:30] = 2**60 + 1
    fine[20:36, 30:50] = 7
    coarse = fine[1::2, 1::2]
    found = as_raster(coarse, scale=(2, 2), translate=(0.5, 0.5))
    overlap = overlap_of(found, as_raster(fine))
    assert set(overlap.found.tolist()) == {0, 7, 2**60 + 1}
    # Coarse pixel i lies on the fine ones 2 i and 2 i + 1, and the objects have even edges.
    assert instance_figures(overlap)["sq"] == 1.0


def test_a_mask_of_booleans_and_what_lies_outside_the_regions() -> None:
    labels = np.array([[1, 1, 1, -7]], np.int16)
    mask = np.array([[True, True, False, True]])
    assert covered(only(labels[:, :3], mask[:, :3])) == (1, 1)
    (overlap,) = measure(labels, mask, np.array([[0, 0, 0, -1]], np.int32))
    same(overlap, only(labels[:, :3], mask[:, :3]))
    same(overlap_of(as_raster(labels[:, :3]), as_raster(mask[:, :3])), overlap)


def test_integers_are_labels_however_they_were_opened() -> None:
    labels = cells(8, (20, 20), 4)
    image = Raster.from_array(labels, "yx")
    assert image.kind == "image"
    half = as_raster(labels, translate=(0.5, 0.5))
    assert set(overlap_of(image, half).found.tolist()) <= set(np.unique(labels).tolist())


@pytest.mark.parametrize("dtype", ["uint32", "int64", "uint64"])
def test_large_labels(dtype) -> None:
    expected = cells(9, (24, 24), 6).astype(dtype)
    large = np.where(expected > 0, expected + np.array(BIG, dtype), 0).astype(dtype)
    overlap = overlap_of(as_raster(large, (5, 24)), as_raster(expected, (24, 7)))
    assert overlap.found_objects.ids.tolist() == [BIG + i for i in np.unique(expected)[1:].tolist()]
    assert instance_figures(overlap)["pq"] == 1.0


def test_the_largest_labels_stay_apart() -> None:
    found = np.array([[2**64 - 1, 2**64 - 2]], np.uint64)
    overlap = only(found, np.array([[1, 1]], np.int8))
    assert rows(overlap) == {(2**64 - 2, 1): 1, (2**64 - 1, 1): 1}


def test_progress_and_cancel(monkeypatch) -> None:
    monkeypatch.setattr(stream, "AREA", 16)
    labels = as_raster(cells(1, (64, 64), 9), (16, 16))
    seen: list[tuple[int, int]] = []
    overlap_of(labels, labels, progress=lambda *counts: seen.append(counts))
    assert seen == [(i, 16) for i in range(17)]
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        overlap_of(labels, labels, cancel=token)


def test_what_labels_cannot_be() -> None:
    with pytest.raises(InputError, match="hold -1"):
        measure(np.array([-1, 0]), np.array([0, 0]))
    with pytest.raises(InputError, match="float64"):
        measure(np.array([1.0]), np.array([1]))
    with pytest.raises(InputError, match="shapes"):
        measure(np.zeros((2, 2), int), np.zeros((2, 3), int))
    labels = as_raster(np.ones((3, 3), int))
    with pytest.raises(InputError, match="labels are integers"):
        overlap_of(Raster.from_array(np.ones((3, 3), np.float32), "yx"), labels)
    with pytest.raises(InputError, match="Take planes"):
        overlap_of(Raster.from_array(np.ones((2, 3, 3), int), "zyx", kind="labels"), labels)


def test_planes_of_a_stack_make_volumes() -> None:
    stack = np.stack([cells(1, (20, 20), 5), cells(2, (20, 20), 5)])
    other = np.roll(stack, 2, axis=-1)
    same(merge([only(a, b) for a, b in zip(other, stack, strict=True)]), only(other, stack))


def test_these_files_are_no_metrics_of_pixels() -> None:
    assert {"psnr", "ssim"} <= set(metric_names())
    for name in metric_names():
        assert find_metric(name).columns
