"""Mutual information agrees with scipy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from metric_pairs import RANGES, block, figures, pair
from scipy.stats import entropy
from skimage.metrics import normalized_mutual_information

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.mutual_information import METRIC, bins


def by_scipy(a, b, low: float, high: float) -> tuple[float, float]:
    joint, *_ = np.histogram2d(
        np.clip(a, low, high).ravel(), np.clip(b, low, high).ravel(), 64, [[low, high]] * 2
    )
    apart = entropy(joint.sum(0)) + entropy(joint.sum(1))
    both = entropy(joint.ravel())
    return apart - both, apart / both if both else np.nan


@pytest.mark.parametrize("part", [1.0, 0.37])
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("shape", [(1, 2), (9, 200), (64, 64)], ids=str)
def test_it_is_the_formula_of_the_joint_histogram(shape, dtype: str, part: float) -> None:
    planes, data_range = pair(shape, dtype), part * RANGES[dtype]
    a, b = (v[1].astype(np.float64) for v in planes)
    try:
        found = figures(METRIC, *planes, data_range)
    except Undefined:
        assert by_scipy(a, b, 0, data_range)[0] == 0
        return
    expected = by_scipy(a, b, 0, data_range)
    assert tuple(found.values()) == pytest.approx(expected, rel=1e-9)


def test_it_is_scikit_images_where_its_bins_are_these() -> None:
    planes = pair((90, 80), "uint8")
    for plane in planes:  # scikit-image takes the range of the values
        plane[:, 0, 0], plane[:, 0, 1] = 0, 255
    expected = normalized_mutual_information(planes[0][1], planes[1][1], bins=64)
    found = figures(METRIC, *planes, 255.0)["normalised_mutual_information"]
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "uint32"])
def test_bins_of_integers_start_at_the_least_value(dtype: str) -> None:
    limits = np.iinfo(dtype)
    data_range = float(limits.max) - float(limits.min)
    values = np.random.default_rng(0).integers(limits.min, limits.max, 4000, dtype, endpoint=True)
    values[:2] = limits.min, limits.max
    edges = np.linspace(limits.min, limits.max, 65)
    expected = np.clip(np.searchsorted(edges, values.astype(np.float64), "right") - 1, 0, 63)
    np.testing.assert_array_equal(bins(values[None], data_range)[0], expected)


def test_values_outside_the_range_go_to_the_end_bins() -> None:
    values = np.array([[-3.0, 0.0, 1.0, 2.0, 700.0]])
    assert bins(values, 2.0).tolist() == [[0, 0, 32, 63, 63]]


def test_independent_images_share_next_to_nothing() -> None:
    random = np.random.default_rng(0)
    one, other = (random.random((3, 700, 700)) for _ in range(2))
    found = figures(METRIC, one, other, 1.0)
    # 63² / 2n is what chance gives.
    assert found["mutual_information"] == pytest.approx(63**2 / (2 * 700**2), rel=0.1)


def test_constant_images_are_undefined() -> None:
    flat = np.full((3, 6, 6), 0.5)
    with pytest.raises(Undefined, match="single bin"):
        figures(METRIC, flat, flat, 1.0)


def test_more_regions_than_memory_is_refused() -> None:
    with pytest.raises(InputError, match="larger regions"):
        METRIC.statistic.measure(block(METRIC, *pair((4, 4)), count=10**6))
