from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from skimage.metrics import hausdorff_distance

from napari_tincture.errors import InputError
from napari_tincture.metrics import stream
from napari_tincture.metrics.labels import planes
from napari_tincture.metrics.labels.distances import contour, contour_distances
from napari_tincture.metrics.labels.object_surfaces import object_distances
from napari_tincture.metrics.labels.planes import planes_of
from napari_tincture.metrics.labels.registry import find_label_metric
from napari_tincture.metrics.labels.surfaces import surface_figures
from napari_tincture.metrics.labels.thinned_rand import thinned
from napari_tincture.metrics.metric import Undefined
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster
from napari_tincture.regrid import pixel_size


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Objects that are found elsewhere, one at the image's end, one missing; ids apart."""
    expected, found = np.zeros((2, 30, 40), np.uint32)
    expected[3:12, 2:11], found[4:12, 3:13] = 7, 2**31 + 5
    expected[15:25, 20:40], found[16:25, 20:40] = 3, 9
    found[20, 30] = 0
    expected[1:4, 30:34] = 12
    return found, expected


def as_raster(array: np.ndarray, chunks=None, **place) -> Raster:
    data = da.from_array(array, chunks=chunks or array.shape)
    placement = Placement.build(("y", "x"), **place)
    return Raster.from_array(data, "yx", kind="labels", placement=placement)


def plain(a: np.ndarray, b: np.ndarray, size: tuple[float, float]) -> tuple[float, float, float]:
    """Every point of a contour against every point of the other."""
    rims = []
    for mask in (a, b):
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        rims.append(np.argwhere(mask & ~inner) * size)
    apart = np.linalg.norm(rims[0][:, None] - rims[1][None], axis=2)
    one, other = apart.min(axis=1), apart.min(axis=0)
    worst = max(np.percentile(one, 95), np.percentile(other, 95))
    return max(one.max(), other.max()), worst, np.concatenate([one, other]).mean()


@pytest.mark.parametrize("size", [(1.0, 1.0), (0.5, 1.3)])
def test_distances_by_all_pairs_of_points(size) -> None:
    rng = np.random.default_rng(0)
    a, b = (np.kron(rng.random((5, 6)) < 0.5, np.ones((4, 3))) > 0 for _ in range(2))
    np.testing.assert_allclose(contour_distances(a, b, size), plain(a, b, size), rtol=1e-13)
    assert contour_distances(a, a, size) == (0, 0, 0)
    if size == (1.0, 1.0):
        theirs = hausdorff_distance(contour(a), contour(b))
        assert contour_distances(a, b).hausdorff == pytest.approx(theirs, rel=1e-13)


def test_without_one_of_the_two_there_is_no_distance() -> None:
    some, nothing = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    with pytest.raises(Undefined, match="nothing is found"):
        contour_distances(nothing, some)
    with pytest.raises(Undefined, match="nothing is expected"):
        contour_distances(some, nothing)


def test_classes_in_micrometres_where_the_reference_has_a_scale(monkeypatch) -> None:
    monkeypatch.setattr(stream, "AREA", 11)
    found, expected = (np.minimum(side, 1).astype(np.uint8) for side in blobs())
    place = {"scale": (500, 1300), "units": "nm"}
    images = as_raster(found, **place), as_raster(expected, (7, 9), **place)
    (whole,) = planes_of(*images)
    assert whole.size == pytest.approx((0.5, 1.3), rel=1e-14)
    figures = surface_figures(whole, {1: "cell", 4: "gap"})
    expected_figures = plain(found > 0, expected > 0, (0.5, 1.3))
    names = ["hausdorff", "hausdorff_95", "surface_distance"]
    cell = [figures[f"cell_{name}"] for name in names]
    np.testing.assert_allclose(cell, expected_figures, rtol=1e-13)
    assert figures.undefined["gap_hausdorff"] == "nothing is found"
    metric = find_label_metric("surfaces")
    assert {metric.better(name) for name in metric.figures(whole)} == {"lower"}


def test_objects_are_measured_in_pairs() -> None:
    found, expected = blobs()
    (whole,) = planes_of(as_raster(found, scale=(0.5, 2)), as_raster(expected, scale=(0.5, 2)))
    pairs = [(9, 3), (2**31 + 5, 7)]
    wanted = [plain(found == a, expected == b, (0.5, 2)) for a, b in pairs]
    np.testing.assert_allclose(object_distances(whole), wanted, rtol=1e-13)
    figures = find_label_metric("object_surfaces").figures(whole)
    np.testing.assert_allclose(list(figures.values()), np.mean(wanted, axis=0), rtol=1e-13)
    (none,) = planes_of(as_raster(found * 0), as_raster(expected))
    figures = find_label_metric("object_surfaces").figures(none)
    assert set(figures.undefined.values()) == {"no objects match"}


@pytest.mark.parametrize("name", ["warping", "thinned_rand", "surfaces", "object_surfaces"])
def test_regions_and_what_both_have_are_judged_alone(monkeypatch, name) -> None:
    monkeypatch.setattr(stream, "AREA", 9)
    found, expected = (side.astype(np.int64) for side in blobs())
    regions = np.full(expected.shape, -1, np.int32)
    regions[2:14, 1:20], regions[15:28, 18:37] = 1, 0
    part = as_raster(found[:27], translate=(0, 0))
    metric = find_label_metric(name)
    tables = metric.count(part, as_raster(expected), regions.__getitem__, 3)
    boxes = [np.s_[15:27, 18:37], np.s_[2:14, 1:20]]
    for table, box in zip(tables, boxes, strict=False):
        (alone,) = metric.count(as_raster(found[box]), as_raster(expected[box]))
        assert dict(metric.figures(table)) == dict(metric.figures(alone))
    empty = metric.figures(tables[2])
    assert set(empty.values()) <= {None}
    assert set(empty) == set(empty.undefined)


def test_planes_that_cannot_be_read_whole(monkeypatch) -> None:
    found, expected = blobs()
    negative = as_raster(-expected.astype(np.int64))
    with pytest.raises(InputError, match="hold -12"):
        planes_of(negative, as_raster(expected))
    monkeypatch.setattr(planes, "MOST", 1000)
    with pytest.raises(InputError, match="Compare a region"):
        planes_of(as_raster(found), as_raster(expected))


def test_sheared_pixels_have_no_size() -> None:
    turned = as_raster(np.ones((3, 3), int), scale=(2, 3), rotate=[[0, -1], [1, 0]])
    assert pixel_size(turned) == (2, 3)
    with pytest.raises(InputError, match="shears"):
        pixel_size(as_raster(np.ones((3, 3), int), shear=[0.3]))


def test_thinning_within_a_region_takes_nothing_from_outside() -> None:
    labels = np.zeros((1, 9), int)
    labels[0, 0], labels[0, 6] = 1, 2
    regions = np.zeros((1, 9), np.int32)
    regions[0, 4:] = 1
    left, _ = planes_of(as_raster(labels), as_raster(labels), regions.__getitem__, 2)
    np.testing.assert_array_equal(thinned(left.found), [[1, 1, 1, 1]])
