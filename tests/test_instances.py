from __future__ import annotations

import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.instances import label_instances
from napari_tincture.training.labels.targets import instance_targets


def nuclei(seed: int, shape: tuple[int, int] = (160, 200)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for number in range(1, 41):
        cy, cx, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(5, 12)
        near = (y - cy) ** 2 + (x - cx) ** 2
        if not (labels[near < (0.8 * radius) ** 2] > 0).any():
            labels[(near < radius**2) & (labels == 0)] = number
    return labels


@pytest.mark.parametrize("seed", range(3))
def test_a_window_with_its_surroundings_gives_the_same_objects(seed: int) -> None:
    maps = instance_targets(nuclei(seed), border=2.0)
    whole = label_instances(maps)
    part = label_instances(maps[:, 20:140, 30:170])
    centre = (slice(60, 100), slice(70, 130))
    for number in np.unique(whole[centre])[1:]:
        mask = whole == number
        there = np.unique(part[mask[20:140, 30:170]])
        assert len(there) == 1
        np.testing.assert_array_equal(part == there[0], mask[20:140, 30:170])


def test_numbers_have_no_gaps_and_follow_the_scan() -> None:
    labels = label_instances(instance_targets(nuclei(0), border=2.0))
    assert labels.dtype == np.int32
    numbers, first = np.unique(labels, return_index=True)
    np.testing.assert_array_equal(numbers, np.arange(labels.max() + 1))
    assert (np.diff(first[1:]) > 0).all()


def test_small_objects_are_dropped_and_flat_ones_kept() -> None:
    maps = np.zeros((3, 30, 30), np.float32)
    maps[0, 2:4, 2:4] = 1
    maps[0, 10:20, 10:20] = 1
    labels = label_instances(maps, min_size=20)
    assert labels.max() == 1
    assert (labels > 0).sum() == 100


def test_background_parts_objects_of_two_maps() -> None:
    inside = np.ones((9, 21), np.float32)
    inside[:, 10] = 0.5
    labels = label_instances(np.stack([inside, 1 - inside]), min_size=1)
    assert labels[:, 10].max() == 0
    assert np.unique(labels[:, :10]).tolist() == [1]
    assert np.unique(labels[:, 11:]).tolist() == [2]


def test_an_empty_field_has_no_objects() -> None:
    assert label_instances(np.zeros((3, 9, 9))).max() == 0


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(3, y, x\)"):
        label_instances(np.zeros((4, 9, 9)))


@pytest.mark.parametrize("seed", range(3))
def test_maps_are_taken_by_their_roles_whatever_their_order(seed: int) -> None:
    inside, border, depth = instance_targets(nuclei(seed), border=2.0)
    expected = label_instances(np.stack([inside, border, depth]))
    shuffled = np.stack([depth, 1 - inside, inside, border])
    roles = ("depth", "", "object", "border")
    np.testing.assert_array_equal(label_instances(shuffled, roles=roles), expected)


def test_borders_alone_separate_what_touches() -> None:
    labels = nuclei(1)
    inside, border, _ = instance_targets(labels, border=3.0)
    found = label_instances(np.stack([border, inside]), roles=("border", "object"), min_size=1)
    parts = label_instances(inside[None], roles=("object",), min_size=1)
    assert parts.max() < found.max()
    np.testing.assert_array_equal(found > 0, inside > 0.5)
    # Most objects have one number that no other has.
    alone = [n for n in np.unique(labels)[1:] if len(np.unique(found[labels == n])) == 1]
    assert len(alone) > 0.8 * (len(np.unique(labels)) - 1)


@pytest.mark.parametrize("roles", [("border", "depth"), ("object",), None])
def test_roles_that_do_not_fit_are_refused(roles: tuple[str, ...] | None) -> None:
    maps = np.zeros((2 if roles else 4, 5, 5))
    with pytest.raises(InputError, match="'object' among them"):
        label_instances(maps, roles=roles)
