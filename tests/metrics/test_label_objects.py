from __future__ import annotations

import pickle
from itertools import permutations

import numpy as np
import pytest
from label_pairs import GRID, cells, ious, masks, moved, only
from skimage.metrics import adapted_rand_error
from skimage.metrics import variation_of_information as skimage_information

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.classes import class_figures
from napari_tincture.metrics.labels.matches import (
    THRESHOLDS,
    aggregated_jaccard,
    covering_jaccard,
    match,
)
from napari_tincture.metrics.labels.objects import instance_figures
from napari_tincture.metrics.labels.overlap import Overlap
from napari_tincture.metrics.labels.partitions import adapted_rand, variation_of_information


@pytest.fixture(params=GRID, ids=str)
def images(request) -> tuple[np.ndarray, np.ndarray]:
    shape, objects, dtype = request.param
    expected = cells(1, shape, objects, dtype)
    return moved(expected, 2), expected


def plain_jaccard(found: np.ndarray, expected: np.ndarray) -> float:
    inside, whole, used = 0, 0, set()
    theirs = masks(found)
    for mine in masks(expected):
        scores = [(mine & other).sum() / (mine | other).sum() for other in theirs]
        best = int(np.argmax(scores)) if scores else -1
        if best < 0 or scores[best] == 0:
            whole += mine.sum()
            continue
        used.add(best)
        inside += (mine & theirs[best]).sum()
        whole += (mine | theirs[best]).sum()
    whole += sum(other.sum() for i, other in enumerate(theirs) if i not in used)
    return inside / whole


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.75, 1.0])
def test_matches_by_hand_above_a_half(images, threshold) -> None:
    found, expected = images
    table = ious(found, expected)
    hits = (table > 0.5) & (table >= threshold)
    matches = match(only(found, expected), threshold)
    assert matches.matched == hits.sum()
    wrong, missed = (~hits.any(1)).sum(), (~hits.any(0)).sum()
    assert (matches.found - matches.matched, matches.expected - matches.matched) == (wrong, missed)
    n = hits.sum()
    assert matches.precision == n / (n + wrong)
    assert matches.recall == n / (n + missed)
    assert matches.f1 == pytest.approx(n / (n + wrong / 2 + missed / 2), rel=1e-15)
    assert matches.average_precision == n / (n + wrong + missed)
    quality = table[hits].sum() / (n + wrong / 2 + missed / 2)
    assert matches.panoptic_quality == pytest.approx(quality, rel=1e-14)
    if n:
        assert matches.mean_iou == pytest.approx(table[hits].mean(), rel=1e-14)
        assert matches.panoptic_quality == pytest.approx(matches.mean_iou * matches.f1, rel=1e-14)


def squares(*places: tuple[int, int, int]) -> np.ndarray:
    array = np.zeros((40, 40), np.int32)
    for number, (y, x, side) in enumerate(places, start=1):
        array[y : y + side, x : x + side] = number
    return array


def test_objects_match_when_most_of_both_is_shared() -> None:
    expected = squares((0, 0, 10), (20, 20, 10))
    matches = match(only(squares((20, 21, 10), (0, 6, 10), (35, 35, 4)), expected))
    assert (matches.found, matches.expected, matches.matched) == (3, 2, 1)
    assert matches.f1 == 0.4


def test_matched_labels_are_told() -> None:
    found = np.array([[9, 9, 9, 0, 4]])
    expected = np.array([[3, 3, 0, 0, 8]])
    matches = match(only(found, expected))
    pairs = dict(zip(matches.found_ids.tolist(), matches.expected_ids.tolist(), strict=True))
    assert pairs == {9: 3, 4: 8}
    np.testing.assert_allclose(matches.iou, [1, 2 / 3])


def best_pairs(table: np.ndarray, threshold: float) -> tuple[int, float]:
    """Most pairs, and then the greatest sum of IoU, of all ways to pair."""
    if table.shape[0] > table.shape[1]:
        table = table.T
    a, b = table.shape
    ways = []
    for way in permutations(range(b), a):
        values = table[range(a), list(way)]
        values = values[values >= threshold]
        ways.append((len(values), round(values.sum(), 12)))
    return max(ways)


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.4])
@pytest.mark.parametrize("seed", range(8))
def test_below_a_half_the_best_of_all_assignments(threshold, seed) -> None:
    rng = np.random.default_rng(seed)
    # Few labels thrown over few pixels, so that many objects compete.
    found, expected = rng.integers(0, 6, (2, 40))
    found[:20] = np.where(rng.random(20) < 0.5, expected[:20], found[:20])
    matches = match(only(found, expected), threshold)
    assert len(set(matches.found_ids.tolist())) == len(set(matches.expected_ids.tolist()))
    table = ious(found, expected)
    assert (matches.matched, round(matches.iou.sum(), 12)) == best_pairs(table, threshold)
    assert (matches.iou >= threshold).all()


def test_two_halves_share_one_object_only_once() -> None:
    overlap = only(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 5]))
    assert match(overlap, 0.5).matched == 0
    assert match(overlap, 0.49).matched == 1


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, float("nan")])
def test_thresholds_that_are_none(threshold) -> None:
    with pytest.raises(InputError, match="expected more than 0"):
        match(only(np.array([1]), np.array([1])), threshold)


def test_aggregated_jaccard_by_hand(images) -> None:
    assert aggregated_jaccard(only(*images)) == plain_jaccard(*images)


def test_the_measure_of_the_cell_tracking_challenge_by_hand(images) -> None:
    found, expected = images
    values = []
    for reference in masks(expected):
        jaccards = [
            (mask & reference).sum() / (mask | reference).sum()
            for mask in masks(found)
            if (mask & reference).sum() > 0.5 * reference.sum()
        ]
        values.append(sum(jaccards))
    assert covering_jaccard(only(found, expected)) == pytest.approx(np.mean(values), rel=1e-12)


def test_half_an_object_does_not_cover_it() -> None:
    found, expected = np.array([1, 1, 2, 2, 0, 7]), np.array([5, 5, 5, 5, 6, 0])
    assert covering_jaccard(only(found, expected)) == 0
    found[2] = 1
    assert covering_jaccard(only(found, expected)) == 3 / 4 / 2


def test_partitions_equal_scikit_image(images) -> None:
    found, expected = images
    # scikit-image calls "precision" what is divided by the pairs of the true image.
    error, split, together = adapted_rand_error(expected.astype(int), found.astype(int))
    ours = adapted_rand(only(found, expected))
    np.testing.assert_allclose(ours, (error, split, together), rtol=1e-12)
    information = variation_of_information(only(found, expected))
    theirs = skimage_information(expected.astype(int), found.astype(int))
    np.testing.assert_allclose(information, theirs, rtol=1e-12, atol=1e-14)


def test_split_and_merge_are_told_apart() -> None:
    whole, halves = np.ones(8, int), np.repeat([1, 2], 4)
    assert variation_of_information(only(halves, whole)) == (1.0, 0.0)
    assert variation_of_information(only(whole, halves)) == (0.0, 1.0)
    assert adapted_rand(only(halves, whole)).merge == 1.0
    assert adapted_rand(only(halves, whole)).split == pytest.approx(3 / 7)


def test_squares_of_very_many_pixels_do_not_overflow() -> None:
    ids = np.array([1], np.uint64)
    overlap = Overlap(ids, ids, np.array([2**40]))
    assert adapted_rand(overlap) == (0.0, 1.0, 1.0)
    assert class_figures(overlap)["accuracy"] == 1.0


def test_equal_images_are_perfect(images) -> None:
    _, expected = images
    figures = instance_figures(only(expected, expected))
    ones = {"pq", "sq", "rq", "aji", "seg", "ap", "rand_split", "rand_merge"}
    assert all(figures[name] == 1.0 for name in ones)
    assert all(figures[name] == 0.0 for name in ("rand_error", "voi_split", "voi_merge"))
    assert figures["found"] == figures["expected"] == len(masks(expected))
    assert figures.undefined == {}


def test_average_precision_is_the_mean_over_thresholds(images) -> None:
    table = ious(*images)
    values = []
    for threshold in THRESHOLDS:
        n = ((table > 0.5) & (table >= threshold)).sum()
        values.append(n / (sum(table.shape) - n))
    assert instance_figures(only(*images))["ap"] == pytest.approx(np.mean(values), rel=1e-14)


def test_missing_objects_have_figures_where_they_can() -> None:
    empty, some = np.zeros((4, 4), int), np.eye(4, dtype=int)
    figures = instance_figures(only(empty, some))
    assert (figures["recall_50"], figures["f1_50"], figures["pq"], figures["aji"]) == (0, 0, 0, 0)
    assert figures["precision_50"] is None
    assert figures.undefined["precision_50"] == "no object was found"
    assert figures["sq"] is None
    figures = instance_figures(only(some, empty))
    assert (figures["precision_50"], figures["f1_50"], figures["pq"], figures["aji"]) == (0,) * 4
    assert figures["recall_50"] is None
    assert figures["rand_error"] is None
    assert figures["count_difference"] == 1


def test_without_objects_figures_are_stated_not_guessed() -> None:
    empty = np.zeros((4, 4), int)
    figures = instance_figures(only(empty, empty), thresholds=(0.3, 0.5))
    assert figures.undefined["f1_30"] == "neither image has objects"
    defined = {name for name, value in figures.items() if value is not None}
    assert defined == {"found", "expected", "count_difference", "voi_split", "voi_merge"}
    assert set(figures) == defined | set(figures.undefined)


def test_figures_keep_their_order_and_reasons_when_sent_elsewhere() -> None:
    figures = instance_figures(only(np.zeros(3, int), np.zeros(3, int)))
    sent = pickle.loads(pickle.dumps(figures))
    assert list(sent.items()) == list(figures.items())
    assert sent.undefined == figures.undefined
    assert list(figures)[:5] == [
        "found",
        "expected",
        "count_difference",
        "precision_50",
        "recall_50",
    ]
