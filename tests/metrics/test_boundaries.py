from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt

from napari_tincture.errors import InputError
from napari_tincture.metrics import stream
from napari_tincture.metrics.labels.boundaries import boundary_figures
from napari_tincture.metrics.labels.contours import boundaries_of
from napari_tincture.metrics.metric import Undefined
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster


def classes(seed: int, shape: tuple[int, int] = (50, 63), points: int = 14) -> np.ndarray:
    """Patches of four classes, borders at the edges of the image too."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (points, 2)) * shape
    grid = np.mgrid[: shape[0], : shape[1]].reshape(2, -1).T
    nearest = np.linalg.norm(grid[:, None] - centres[None], axis=2).argmin(1)
    return rng.integers(0, 4, points)[nearest].reshape(shape).astype(np.uint8)


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    expected = classes(seed)
    found = np.roll(expected, (1, 2), (0, 1))
    found[30:40, 10:20] = 3
    return found, expected


def as_raster(array: np.ndarray, chunks=None, **place) -> Raster:
    data = da.from_array(array, chunks=chunks or array.shape)
    placement = Placement.build(("y", "x"), **place)
    return Raster.from_array(data, "yx", kind="labels", placement=placement)


def rim(labels: np.ndarray, label: int) -> np.ndarray:
    mask = labels == label
    return mask & ~binary_erosion(mask, border_value=1)


def near(mask: np.ndarray, tolerance: float) -> np.ndarray:
    return distance_transform_edt(~mask) <= tolerance if mask.any() else mask


def plain(found: np.ndarray, expected: np.ndarray, tolerance: float, inside=True) -> dict:
    counts = {}
    for label in np.union1d(found, expected).tolist():
        a, b = rim(found, label), rim(expected, label)
        masks = (a, a & near(b, tolerance), b, b & near(a, tolerance))
        counts[label] = tuple(int((m & inside).sum()) for m in masks)
    return {label: row for label, row in counts.items() if any(row)}


@pytest.mark.parametrize("tolerance", [0, 1, 1.5, 2, 5.1])
@pytest.mark.parametrize("area", [7, 16, 1024])
def test_streaming_equals_the_whole_exactly(monkeypatch, area, tolerance) -> None:
    monkeypatch.setattr(stream, "AREA", area)
    found, expected = pair(1)
    (result,) = boundaries_of(as_raster(found), as_raster(expected, (17, 11)), tolerance)
    assert dict(result.counts) == plain(found, expected, tolerance)


def test_f1_is_the_harmonic_mean() -> None:
    found, expected = pair(2)
    (result,) = boundaries_of(as_raster(found), as_raster(expected), 1)
    scores = []
    for label, (a, right, b, met) in plain(found, expected, 1).items():
        precision, recall = right / a, met / b
        scores.append(2 * precision * recall / (precision + recall))
        assert result.f1(label) == pytest.approx(scores[-1], rel=1e-14)
    assert 0 < result.mean_f1() < 1
    assert result.mean_f1() == pytest.approx(np.mean(scores), rel=1e-14)


def test_equal_maps_are_perfect() -> None:
    expected = as_raster(classes(3))
    (result,) = boundaries_of(expected, expected, 0)
    assert result.mean_f1() == 1.0


def test_regions_count_their_own_pixels(monkeypatch) -> None:
    monkeypatch.setattr(stream, "AREA", 9)
    found, expected = pair(4)
    regions = np.full(expected.shape, -1, np.int32)
    regions[4:23, 7:41] = 1
    regions[23:, 30:] = 0
    results = boundaries_of(as_raster(found), as_raster(expected), 2, regions.__getitem__, 2)
    for number, result in enumerate(results):
        assert dict(result.counts) == plain(found, expected, 2, regions == number)


def test_where_an_image_ends_is_no_boundary(monkeypatch) -> None:
    monkeypatch.setattr(stream, "AREA", 8)
    found, expected = pair(5)
    part = as_raster(found[10:40, 6:], translate=(10, 6))
    (result,) = boundaries_of(part, as_raster(expected), 2)
    assert dict(result.counts) == plain(found[10:40, 6:], expected[10:40, 6:], 2)


def test_missing_boundaries() -> None:
    one = np.ones((8, 8), np.uint8)
    two = one.copy()
    two[:4] = 2
    (nothing,) = boundaries_of(as_raster(one), as_raster(one), 1)
    with pytest.raises(Undefined, match="neither"):
        nothing.mean_f1()
    figures = boundary_figures(nothing, {1: "cells"})
    assert dict(figures) == {"mean_boundary_f1": None, "boundary_f1_cells": None}
    assert figures.undefined["boundary_f1_cells"] == "neither image has a boundary of this class"
    (missed,) = boundaries_of(as_raster(one), as_raster(two), 1)
    figures = boundary_figures(missed, ["rest", "cells"])
    assert list(figures) == [
        "mean_boundary_f1", "boundary_f1_rest", "boundary_f1_cells", "boundary_f1_2",
    ]  # fmt: skip
    assert (figures["boundary_f1_cells"], figures["boundary_f1_2"]) == (0.0, 0.0)
    assert figures["boundary_f1_rest"] is None


@pytest.mark.parametrize("tolerance", [-1, float("nan"), float("inf")])
def test_tolerances_that_are_none(tolerance) -> None:
    one = as_raster(np.ones((3, 3), int))
    with pytest.raises(InputError, match="tolerance="):
        boundaries_of(one, one, tolerance)


def test_objects_are_no_classes() -> None:
    labels = as_raster(np.arange(1600).reshape(40, 40))
    with pytest.raises(InputError, match="look like objects"):
        boundaries_of(labels, labels, 0)
