from __future__ import annotations

import math
import pickle
from itertools import permutations

import dask.array as da
import numpy as np
import pytest
from skimage.metrics import adapted_rand_error, contingency_table
from skimage.metrics import variation_of_information as skimage_information

from napari_tincture.errors import Cancelled, InputError
from napari_tincture.metrics import stream
from napari_tincture.metrics.labels.classes import class_figures
from napari_tincture.metrics.labels.counts import (
    concordance,
    covered,
    limits_of_agreement,
    object_counts,
    of_classes,
)
from napari_tincture.metrics.labels.matches import (
    THRESHOLDS,
    aggregated_jaccard,
    covering_jaccard,
    match,
)
from napari_tincture.metrics.labels.objects import instance_figures
from napari_tincture.metrics.labels.overlap import Overlap, measure, merge
from napari_tincture.metrics.labels.partitions import adapted_rand, variation_of_information
from napari_tincture.metrics.labels.stream import overlap_of, overlaps_of
from napari_tincture.metrics.metric import Undefined
from napari_tincture.metrics.registry import find_metric, metric_names
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster

BIG = 2**31 + 5


def cells(seed: int, shape: tuple[int, int], objects: int, dtype: str = "int32") -> np.ndarray:
    """Touching objects: the nearest of random points, background where all are far."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (objects, 2)) * shape
    grid = np.mgrid[: shape[0], : shape[1]].reshape(2, -1).T
    distance = np.linalg.norm(grid[:, None] - points[None], axis=2)
    reach = 0.6 * math.sqrt(shape[0] * shape[1] / objects)
    labels = np.where(distance.min(1) < reach, distance.argmin(1) + 1, 0)
    return labels.reshape(shape).astype(dtype)


def moved(labels: np.ndarray, seed: int) -> np.ndarray:
    """The same objects, shifted, some lost, some merged, some split, and numbered anew."""
    rng = np.random.default_rng(seed)
    count = int(labels.max())
    names = rng.permutation(count + 1) + 1
    names[0] = 0
    names[rng.integers(1, count + 1, count // 6)] = 0
    names[1 : 1 + count // 6] = names[2 : 2 + count // 6]
    result = names[np.roll(labels, (1, 2), (0, 1))]
    result[:, labels.shape[1] // 2 :] += (result[:, labels.shape[1] // 2 :] > 0) * (count + 5)
    return result.astype(labels.dtype)


GRID = [
    ((40, 60), 12, "int32"),
    ((31, 17), 5, "uint16"),
    ((64, 64), 40, "int64"),
    ((9, 80), 3, "uint8"),
]


@pytest.fixture(params=GRID, ids=str)
def images(request) -> tuple[np.ndarray, np.ndarray]:
    shape, objects, dtype = request.param
    expected = cells(1, shape, objects, dtype)
    return moved(expected, 2), expected


def only(found: np.ndarray, expected: np.ndarray) -> Overlap:
    (overlap,) = measure(found, expected)
    return overlap


def rows(overlap: Overlap) -> dict[tuple[int, int], int]:
    keys = zip(overlap.found.tolist(), overlap.expected.tolist(), strict=True)
    return dict(zip(keys, overlap.pixels.tolist(), strict=True))


def same(one: Overlap, other: Overlap) -> None:
    assert list(rows(one).items()) == list(rows(other).items())


def masks(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == label for label in np.unique(labels) if label]


def ious(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    table = [[(a & b).sum() / (a | b).sum() for b in masks(expected)] for a in masks(found)]
    return np.array(table).reshape(len(masks(found)), len(masks(expected)))


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


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_class_figures_equal_torchmetrics(classes) -> None:
    import torch
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_cohen_kappa,
        multiclass_f1_score,
        multiclass_jaccard_index,
    )

    rng = np.random.default_rng(classes)
    expected = rng.integers(0, classes, (41, 30))
    found = np.where(rng.random((41, 30)) < 0.6, expected, rng.integers(0, classes, (41, 30)))
    a, b = torch.from_numpy(found), torch.from_numpy(expected)
    figures = class_figures(only(found, expected))
    close = {"rel": 1e-6}  # they compute in float32
    assert figures["accuracy"] == pytest.approx(
        float(multiclass_accuracy(a, b, classes, average="micro")), **close
    )
    assert figures["kappa"] == pytest.approx(float(multiclass_cohen_kappa(a, b, classes)), **close)
    for average, column in (("macro", "mean_iou"), ("weighted", "frequency_weighted_iou")):
        theirs = float(multiclass_jaccard_index(a, b, classes, average=average))
        assert figures[column] == pytest.approx(theirs, **close)
    dice = multiclass_f1_score(a, b, classes, average="none").tolist()
    assert [figures[f"dice_{i}"] for i in range(classes)] == pytest.approx(dice, **close)
    assert figures["mean_dice"] == pytest.approx(np.mean(dice), **close)


def test_class_figures_by_hand() -> None:
    expected = np.array([0, 0, 0, 0, 1, 1, 3, 3])
    found = np.array([0, 0, 0, 1, 1, 1, 0, 3])
    figures = class_figures(only(found, expected), names={0: "rest", 1: "live", 2: "dead"})
    assert list(figures)[5:] == [
        "dice_rest", "iou_rest", "dice_live", "iou_live", "dice_dead", "iou_dead", "dice_3",
        "iou_3",
    ]  # fmt: skip
    assert figures["accuracy"] == 6 / 8
    assert figures["iou_rest"] == 3 / 5
    assert figures["dice_live"] == 4 / 5
    assert figures["mean_iou"] == pytest.approx((3 / 5 + 2 / 3 + 1 / 2) / 3, rel=1e-15)
    weighted = (4 * 3 / 5 + 2 * 2 / 3 + 2 * 1 / 2) / 8
    assert figures["frequency_weighted_iou"] == pytest.approx(weighted, rel=1e-15)
    chance = (4 * 4 + 2 * 3 + 2 * 1) / 64
    assert figures["kappa"] == pytest.approx((6 / 8 - chance) / (1 - chance), rel=1e-15)
    assert figures["iou_dead"] is None
    assert figures.undefined == dict.fromkeys(
        ("dice_dead", "iou_dead"), "neither image has this class"
    )


def test_classes_of_the_reference_are_left_out() -> None:
    expected = np.array([0, 0, 1, 255, 255])
    found = np.array([0, 1, 1, 1, 0])
    overlap = only(found, expected)
    assert class_figures(overlap, ignore=[255]) == class_figures(only(found[:3], expected[:3]))
    nothing = class_figures(overlap, ignore=[0, 1, 255])
    assert nothing["mean_iou"] is None
    assert set(nothing.undefined.values()) == {"no pixel was compared"}


def test_one_class_has_no_kappa() -> None:
    figures = class_figures(only(np.full(5, 2), np.full(5, 2)))
    assert figures["kappa"] is None
    assert figures["accuracy"] == figures["dice_2"] == 1.0
    assert class_figures(only(np.full(5, 2), np.full(5, 3)))["kappa"] == 0.0


def test_objects_are_no_classes() -> None:
    labels = np.arange(2000)
    with pytest.raises(InputError, match="look like objects"):
        class_figures(only(labels, labels))


def test_counts_and_stained_objects() -> None:
    nuclei = np.array([1, 1, 1, 1, 2, 2, 2, 0, 3, 3, 9, 9])
    stain = np.array([5, 5, 0, 0, 6, 5, 0, 1, 0, 0, 8, 8])
    overlap = only(nuclei, stain)
    assert object_counts(overlap) == (4, 4)
    assert object_counts(overlap).difference == 0
    # Half of object 1 is not more than half; object 2 lies on two labels together.
    assert covered(overlap) == (2, 4)
    assert covered(overlap).percent == 50.0
    assert covered(overlap, part=0.4) == (3, 4)
    shares = of_classes(overlap)
    assert list(shares) == [0, 1, 5, 6, 8]
    assert {label: share.some for label, share in shares.items()} == {0: 1, 1: 0, 5: 0, 6: 0, 8: 1}
    assert shares[8].percent == 25.0
    with pytest.raises(InputError, match=r"part=0\.3"):
        of_classes(overlap, 0.3)


def test_no_objects_have_no_percentage() -> None:
    share = covered(only(np.zeros(4, int), np.ones(4, int)))
    assert share == (0, 0)
    with pytest.raises(Undefined, match="no objects"):
        _ = share.percent


def test_limits_of_agreement_and_concordance() -> None:
    rng = np.random.default_rng(0)
    expected = rng.integers(20, 200, 30)
    found = expected + rng.integers(-9, 14, 30)
    apart = (found - expected).tolist()
    mean = sum(apart) / 30
    deviation = math.sqrt(sum((d - mean) ** 2 for d in apart) / 29)
    limits = limits_of_agreement(found, expected)
    plain = (mean, deviation, mean - 1.96 * deviation, mean + 1.96 * deviation)
    np.testing.assert_allclose(limits, plain, rtol=1e-12)
    assert concordance(expected, expected) == 1.0
    assert concordance(expected, -expected) < 0


@pytest.mark.parametrize("seed", range(3))
def test_concordance_equals_torchmetrics(seed) -> None:
    import torch
    from torchmetrics.functional import concordance_corrcoef

    expected = np.random.default_rng(seed).normal(50, 20, 40)
    found = expected * 0.9 + np.random.default_rng(seed + 10).normal(3, 5, 40)
    # By the formula, for theirs mixes moments with 1/n and 1/(n - 1)…
    x, y = found - found.mean(), expected - expected.mean()
    apart = (found.mean() - expected.mean()) ** 2
    plain = 2 * (x * y).mean() / ((x * x).mean() + (y * y).mean() + apart)
    assert concordance(found, expected) == pytest.approx(plain, rel=1e-12)
    # … which is the same where the means are equal.
    theirs = float(concordance_corrcoef(torch.from_numpy(x), torch.from_numpy(y)))
    assert concordance(x, y) == pytest.approx(theirs, rel=1e-6)


def test_series_that_do_not_do() -> None:
    with pytest.raises(Undefined, match="two images"):
        limits_of_agreement([3], [4])
    with pytest.raises(Undefined, match="two images"):
        concordance([], [])
    with pytest.raises(Undefined, match="same number"):
        concordance([3, 3], [3, 3])
    with pytest.raises(InputError, match="one per image"):
        concordance([3, 3], [3])
    with pytest.raises(InputError, match="NaN"):
        limits_of_agreement([3, float("nan")], [3, 4])


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
