from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label
from skimage.metrics import adapted_rand_error

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.averages import average, over_images
from napari_tincture.metrics.labels.membranes import THRESHOLDS, membrane_scores
from napari_tincture.metrics.labels.overlap import measure
from napari_tincture.metrics.labels.partitions import foreground_rand
from napari_tincture.metrics.labels.pixel_error import pixel_error
from napari_tincture.metrics.labels.registry import find_label_metric
from napari_tincture.metrics.labels.thinned_rand import thinned
from napari_tincture.metrics.labels.topology import warping
from napari_tincture.metrics.metric import Undefined


def walls(seed: int, shape: tuple[int, int] = (24, 30)) -> np.ndarray:
    """Membrane, 1, between cells, 0, as smooth values in [0, 1]."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (7, 2)) * shape
    grid = np.mgrid[: shape[0], : shape[1]].reshape(2, -1).T
    first, second = np.sort(np.linalg.norm(grid[:, None] - points, axis=2), axis=1)[:, :2].T
    return np.clip(1.4 - (second - first) / 3, 0, 1).reshape(shape)


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of membrane and expected cells, 255, of two slices."""
    expected = np.stack([np.where(walls(n) > 0.6, 0, 255) for n in (1, 2)]).astype(np.uint8)
    rng = np.random.default_rng(3)
    blurred = [gaussian_filter(walls(n) + rng.normal(0, 0.4, (24, 30)), 0.7) for n in (1, 2)]
    return np.clip(np.stack(blurred), 0, 1).astype(np.float32), expected


def plain_rand(found: np.ndarray, expected: np.ndarray) -> tuple[float, float, float]:
    """Ordered pairs of pixels, with themselves; found background parts them all."""
    inside = expected.ravel() > 0
    a, b = found.ravel()[inside].tolist(), expected.ravel()[inside].tolist()
    a = [value or -number for number, value in enumerate(a, start=1)]
    counts = np.full(3, len(a))
    for i, j in combinations(range(len(a)), 2):
        same = a[i] == a[j], b[i] == b[j]
        counts += 2 * np.array([all(same), *same])
    both, in_found, in_expected = counts.tolist()
    return 1 - 2 * both / (in_found + in_expected), both / in_expected, both / in_found


def test_foreground_rand_by_counting_pairs() -> None:
    rng = np.random.default_rng(0)
    found, expected = rng.integers(0, 4, (2, 9, 11))
    (overlap,) = measure(found, expected)
    np.testing.assert_allclose(foreground_rand(overlap), plain_rand(found, expected), rtol=1e-13)


def test_without_found_background_only_the_pairs_with_themselves_differ_from_scikit_image() -> None:
    rng = np.random.default_rng(1)
    found, expected = rng.integers(1, 5, (40, 40)), rng.integers(0, 4, (40, 40))
    error, precision, recall = adapted_rand_error(expected, found)
    ours = foreground_rand(measure(found, expected)[0])
    # 1200 pixels in pairs of some 300 each: pairs with themselves are about one in 300.
    np.testing.assert_allclose(ours, (error, precision, recall), atol=1 / 300)
    counts = np.bincount(expected[expected > 0])
    pairs = (counts * (counts - 1)).sum()
    both = precision * pairs + counts.sum()
    assert ours.split == pytest.approx(both / (counts**2).sum(), rel=1e-12)


def test_wide_membranes_cost_nothing_once_thinned() -> None:
    expected = np.repeat(np.repeat([[1, 2], [3, 4]], 10, 0), 10, 1)
    found = expected.copy()
    found[7:13], found[:, 7:13] = 0, 0
    assert foreground_rand(measure(found, expected)[0]).error > 0.3
    # The four corners lie on the diagonals, as far from two cells: the same share of each.
    grown = thinned(found)
    assert grown.min() == 1
    np.testing.assert_array_equal(grown[found > 0], found[found > 0])
    assert foreground_rand(measure(grown, expected)[0]).error == 0
    nothing = np.zeros((4, 4), int)
    np.testing.assert_array_equal(thinned(nothing), nothing)


def test_thinned_pixels_go_to_a_nearest_object() -> None:
    labels = np.zeros((13, 17), np.uint16)
    for number, place in enumerate([(0, 0), (3, 11), (9, 4), (12, 16)], start=1):
        labels[place] = number
    grown = thinned(labels)
    assert grown.dtype == labels.dtype
    points = np.argwhere(labels)
    for y, x in np.ndindex(labels.shape):
        apart = ((points - (y, x)) ** 2).sum(axis=1)
        mine = (np.argwhere(labels == grown[y, x])[0] - (y, x)) ** 2
        assert mine.sum() == apart.min()


def test_pixel_error_is_the_share_of_wrong_pixels() -> None:
    found, expected = np.array([[0, 1, 2], [3, 0, 5]]), np.array([[0, 0, 1], [1, 1, 7]])
    assert pixel_error(measure(found, expected)[0]) == 2 / 6
    empty = measure(np.zeros((0, 3), int), np.zeros((0, 3), int))[0]
    figures = find_label_metric("pixel_error").figures(empty)
    assert (figures["pixel_error"], figures.undefined["pixel_error"]) == (
        None,
        "no pixel was compared",
    )


def test_a_sweep_gives_what_its_parts_give() -> None:
    probability, expected = pair()
    scores = membrane_scores(probability, expected)
    assert scores.thresholds == THRESHOLDS == tuple(n / 10 for n in range(10))
    level = 4
    for number, (chance, cells) in enumerate(zip(probability, expected > 0, strict=True)):
        found, wanted = chance <= np.float32(0.4), label(cells)[0]
        labels = label(found)[0]
        row = {name: errors[level, number] for name, errors in scores.errors.items()}
        assert row["pixel_error"] == (found != cells).mean()
        assert row["rand_error"] == foreground_rand(measure(labels, wanted)[0]).error
        assert (
            row["thinned_rand_error"] == foreground_rand(measure(thinned(labels), wanted)[0]).error
        )
        left = warping(found, cells)
        assert (row["warping_error"], row["split_merge_error"]) == (
            left.error,
            left.split + left.merge,
        )
    assert (scores.errors["split_merge_error"] > 0).any()


def test_best_and_fixed_thresholds() -> None:
    scores = membrane_scores(*pair())
    for name, errors in scores.errors.items():
        means = errors.mean(axis=1)
        best = scores.best(name)
        assert best.error.mean == pytest.approx(means.min(), rel=1e-14)
        assert best.threshold == THRESHOLDS[int(means.argmin())]
        fixed = scores.at(name, 0.3)
        assert fixed.error == average(errors[3].tolist())
        assert fixed.error.deviation == pytest.approx(errors[3].std(ddof=1), rel=1e-12)
    with pytest.raises(InputError, match=r"there are those at 0, 0\.1"):
        scores.at("rand_error", 0.35)
    with pytest.raises(InputError, match="known are pixel_error"):
        scores.best("voi")


def test_perfect_membranes_have_no_error_at_any_inner_threshold() -> None:
    _, expected = pair()
    scores = membrane_scores((expected == 0).astype(float), expected, (0.2, 0.5))
    assert all((errors == 0).all() for name, errors in scores.errors.items())
    objects = np.repeat([[1, 2]], 6, 0).repeat(4, 1)
    lines = np.zeros(objects.shape)
    lines[:, 4] = 1
    touching = membrane_scores(lines, objects, [0.5])
    assert all((errors == 0).all() for errors in touching.errors.values())


def test_slices_without_cells_have_no_rand_error() -> None:
    probability, expected = pair()
    expected[0] = 0
    scores = membrane_scores(probability, expected, [0.5])
    assert math.isnan(scores.errors["rand_error"][0, 0])
    assert scores.at("rand_error", 0.5).error.images == 1
    nothing = membrane_scores(probability[0], expected[0], [0.5])
    with pytest.raises(Undefined, match="no slice"):
        nothing.best("rand_error")


def test_what_probabilities_cannot_be() -> None:
    probability, expected = pair()
    with pytest.raises(InputError, match="Divide 8-bit maps"):
        membrane_scores(probability * 255, expected)
    with pytest.raises(InputError, match="equal shapes"):
        membrane_scores(probability[0], expected)
    with pytest.raises(InputError, match="no thresholds"):
        membrane_scores(probability, expected, [])


def test_figures_over_images() -> None:
    rows = [{"dice": 0.5, "ap": None}, {"dice": 0.7, "ap": 1.0}, {"dice": math.nan}]
    found = over_images(rows)
    assert list(found) == ["dice", "ap"]
    assert found["dice"] == pytest.approx((0.6, math.sqrt(0.02), 2), rel=1e-14)
    assert found["ap"][::2] == (1.0, 1)
    assert math.isnan(found["ap"].deviation)
    assert [str(a) for a in found.values()] == ["0.6 ± 0.14 (n = 2)", "1 (n = 1)"]
    assert str(average([])) == "–"
