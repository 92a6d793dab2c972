from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.measure import label, regionprops

from napari_tincture.deriving.moving import Bounds, Change, Piece, changed_piece, rearrange
from napari_tincture.deriving.objects import each_value, parts_of, surroundings, without

MITO, WALL = 3, 9


def tissue(seed: int = 0, side: int = 160) -> np.ndarray:
    """Two cells divided by a wall, with ellipses in them, some at the map's edge."""
    rng = np.random.default_rng(seed)
    labels = np.ones((side, side), np.uint8)
    labels[:, side // 2 : side // 2 + 3] = WALL
    y, x = np.mgrid[:side, :side]
    for cy, cx in rng.uniform(0, side, (30, 2)):
        inside = ((y - cy) / 7) ** 2 + ((x - cx) / 4) ** 2 < 1
        if (labels[inside] == 1).all():
            labels[inside] = MITO
    return labels


def moved(labels: np.ndarray, seed: int = 0, **bounds: float) -> tuple[np.ndarray, int]:
    objects = parts_of(labels, [MITO])
    return rearrange(labels, objects, [1], Bounds(**bounds), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
def test_no_object_is_lost_or_joined_and_walls_stay(seed: int) -> None:
    labels = tissue(seed)
    found, changed = moved(labels, seed, move=50, turn=180, smallest=0.8, largest=1.3)
    assert label(found == MITO, connectivity=2).max() == label(labels == MITO, connectivity=2).max()
    assert changed > 5
    np.testing.assert_array_equal(found == WALL, labels == WALL)
    assert (found != labels).any()


def test_moving_alone_keeps_shapes_and_its_bound() -> None:
    labels = np.ones((80, 90), np.uint8)
    labels[40:47, 30:52] = labels[47, 30] = MITO
    for seed in range(8):
        found, changed = moved(labels, seed, move=12)
        assert changed == 1
        (before,), (after,) = regionprops(labels // MITO), regionprops(found // MITO)
        np.testing.assert_array_equal(before.image, after.image)
        assert 0 < math.dist(before.centroid, after.centroid) <= 12 + 1e-9


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_area_grows_with_the_square_of_the_factor(factor: float) -> None:
    labels = np.ones((120, 120), np.uint8)
    y, x = np.mgrid[:120, :120]
    labels[((y - 60) / 16) ** 2 + ((x - 60) / 10) ** 2 < 1] = MITO
    found, _ = moved(labels, smallest=factor, largest=factor)
    area = (found == MITO).sum() / (labels == MITO).sum()
    assert area == pytest.approx(factor**2, rel=0.05)
    (before,), (after,) = regionprops(labels // MITO), regionprops(found // MITO)
    assert math.dist(before.centroid, after.centroid) < 1


def test_an_object_turns_about_its_middle() -> None:
    mask = np.ones((5, 21), bool)
    turned = changed_piece(Piece((10, 10), mask, 1), Change((0, 0), math.pi / 2, 1.0))
    assert turned.mask.shape == (21, 5)
    assert turned.mask.all()
    assert turned.corner == (2, 18)


def test_objects_at_the_edge_and_those_without_room_stay() -> None:
    labels = np.full((40, 40), WALL, np.uint8)
    labels[10:20, 10:20] = MITO  # among walls that it must not cover
    labels[:6, 30:] = MITO
    found, changed = moved(labels, move=8, turn=90)
    assert changed == 0
    np.testing.assert_array_equal(found, labels)


def test_instances_may_touch_but_never_cover_each_other() -> None:
    labels = np.zeros((60, 60), np.uint16)
    for number, (y, x) in enumerate(np.ndindex(3, 3), 1):
        labels[8 + 12 * y : 18 + 12 * y, 8 + 12 * x : 18 + 12 * x] = 100 * number
    objects = each_value(labels)
    found, changed = rearrange(labels, objects, [0], Bounds(move=5), np.random.default_rng(3))
    assert changed > 3
    values, counts = np.unique(found, return_counts=True)
    np.testing.assert_array_equal(values, np.unique(labels))
    assert (counts[1:] == 100).all()


def test_a_hole_takes_what_lies_nearest_outside() -> None:
    labels = np.ones((20, 30), np.uint8)
    labels[:, 15:] = 2
    labels[5:10, 10:20] = MITO
    objects = parts_of(labels, [MITO])
    ground = without(labels, objects, [1, 2])
    np.testing.assert_array_equal(ground[5:10, 10:15], 1)
    np.testing.assert_array_equal(ground[5:10, 15:20], 2)
    np.testing.assert_array_equal(without(labels, objects, [2])[5:10, 10:20], 2)
    np.testing.assert_array_equal(ground[labels != MITO], labels[labels != MITO])


def test_what_borders_on_objects_the_most_is_found() -> None:
    labels = tissue()
    assert surroundings(labels, parts_of(labels, [MITO])) == 1
    assert surroundings(np.full((4, 4), 5), parts_of(np.full((4, 4), 5), [5])) is None


def test_corners_join_parts_and_values_are_objects() -> None:
    labels = np.array([[MITO, 0, 0, -4], [0, MITO, 0, 0], [0, 0, 0, MITO]])
    assert parts_of(labels, [MITO]).numbers.max() == 2
    found = each_value(labels)
    assert found.values[1:].tolist() == [-4, MITO]
    np.testing.assert_array_equal(found.values[found.numbers], labels)
