from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.simple_points import branches, patterns, ring, warp
from napari_tincture.metrics.labels.topology import warping
from napari_tincture.metrics.labels.warping import parted
from napari_tincture.metrics.metric import Undefined

EIGHT = np.ones((3, 3))


def components(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    return label(mask, EIGHT if connectivity == 8 else None)


def topology(cells: np.ndarray, connectivity: int = 4) -> tuple[int, int]:
    """Number of cells, and of membranes with what lies around the image."""
    padded = np.pad(cells, 1)
    return components(padded, connectivity)[1], components(~padded, 12 - connectivity)[1]


def simple(cells: np.ndarray, y: int, x: int, connectivity: int = 4) -> bool:
    """Whether one part of the cells and one of the membranes touch the pixel, beside itself."""
    patch = np.pad(cells, 1)[y : y + 3, x : x + 3]
    around = np.ones((3, 3), bool)
    around[1, 1] = False
    touching = []
    for mask, near in ((patch, connectivity), (~patch, 12 - connectivity)):
        parts, _ = components(mask & around, near)
        beside = parts[around] if near == 8 else parts[[0, 1, 1, 2], [1, 0, 2, 1]]
        touching.append(len(set(beside.tolist()) - {0}))
    return touching == [1, 1]


def least(expected: np.ndarray, found: np.ndarray, allowed: np.ndarray | None = None) -> int:
    """Fewest differences that any order of flips of simple pixels that differ leads to."""
    seen, waiting = {expected.tobytes()}, [expected]
    fewest = expected.size
    while waiting:
        state = waiting.pop()
        fewest = min(fewest, int((state != found).sum()))
        for y, x in np.argwhere((state != found) & (True if allowed is None else allowed)):
            if simple(state, y, x):
                other = state.copy()
                other[y, x] ^= True
                if other.tobytes() not in seen:
                    seen.add(other.tobytes())
                    waiting.append(other)
    return fewest


def noise(seed: int, shape: tuple[int, int], smooth: float) -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), smooth)
    return values > 0


def rooms() -> np.ndarray:
    """Four cells of 9 by 9 pixels, membranes of one pixel between them, none around."""
    cells = np.ones((19, 19), bool)
    cells[9], cells[:, 9] = False, False
    return cells


@pytest.mark.parametrize("connectivity", [4, 8])
def test_simple_pixels_are_those_by_definition(connectivity) -> None:
    for number in range(256):
        patch = np.zeros((5, 5), bool)
        for bit, step in enumerate(ring(5)):
            patch.ravel()[12 + step] = number >> bit & 1
        assert patterns(patch.ravel(), np.array([12]), ring(5))[0] == number
        assert (branches(connectivity)[number] == 1) == simple(patch, 2, 2, connectivity)


def test_tiny_images_come_close_to_the_best_order_of_flips() -> None:
    rng, missed, cases = np.random.default_rng(0), 0, 0
    while cases < 20:
        expected, found = rng.random((2, 4, 4)) < rng.uniform(0.3, 0.7)
        if (expected != found).sum() > 9:
            continue
        cases += 1
        fewest = least(expected, found)
        error = round(warping(found, expected).error * 16)
        assert error >= fewest
        missed += error - fewest
    # Greedy descent may end elsewhere; on noise it does in one image of fourteen.
    assert missed <= 2


@pytest.mark.parametrize("connectivity", [4, 8])
def test_topology_is_preserved_and_nothing_simple_is_left(connectivity) -> None:
    expected, found = noise(1, (40, 52), 2), noise(2, (40, 52), 1.5)
    allowed = noise(3, (40, 52), 3)
    for mask in (None, allowed):
        end = warp(expected, found, mask, connectivity)
        assert topology(end, connectivity) == topology(expected, connectivity)
        wrong = (end != found) & (True if mask is None else mask)
        assert not any(simple(end, y, x, connectivity) for y, x in np.argwhere(wrong))
        # Only what differed, and where it was allowed, has changed.
        changed = end != expected
        assert not (changed & (expected == found)).any()
        assert mask is None or not (changed & ~mask).any()


def test_equal_images_and_moved_membranes_cost_nothing() -> None:
    expected = rooms()
    assert warping(expected, expected) == (0, 0, 0)
    moved = np.ones_like(expected)
    moved[7:9], moved[:, 10] = False, False
    assert (moved != expected).mean() > 0.2
    assert warping(moved, expected) == (0, 0, 0)


def test_a_gap_costs_its_length_and_joins() -> None:
    expected = rooms()
    found = expected.copy()
    found[9, 2:5] = True
    assert warping(found, expected) == (3 / 361, 0, 3 / 361)
    # Taken the other way round, the same line is one membrane too many.
    assert warping(expected, found).split > 0


def test_a_line_through_a_cell_splits() -> None:
    expected, found = np.ones((8, 8), bool), np.ones((8, 8), bool)
    found[:, 3] = False
    error, split, merge = warping(found, expected)
    # A line that stops short of the far end is a deformation; its last pixel parts the cell.
    assert (error, split, merge) == (1 / 64, 1 / 64, 0)


def test_holes_and_specks_are_errors_of_neither_kind() -> None:
    expected, found = np.ones((9, 9), bool), np.ones((9, 9), bool)
    found[4, 4] = False
    assert warping(found, expected) == (1 / 81, 0, 0)
    assert warping(~found, ~expected) == (1 / 81, 0, 0)
    assert warping(expected, found) == (1 / 81, 0, 0)


def test_splits_and_merges_are_what_single_flips_do() -> None:
    expected, found = noise(4, (30, 30), 1.5), noise(5, (30, 30), 1.2)
    end = warp(expected, found)
    before, splits, merges = topology(end)[0], 0, 0
    for y, x in np.argwhere(end != found):
        other = end.copy()
        other[y, x] ^= True
        apart = topology(other)[0] - before
        # An isolated pixel that goes or comes is no split and no merge.
        alone = not np.pad(end, 1)[[y, y + 1, y + 1, y + 2], [x + 1, x, x + 2, x + 1]].any()
        splits += bool(end[y, x]) and apart > 0
        merges += not end[y, x] and apart < 0 and not alone
    total = end.size
    assert min(splits, merges) > 0
    assert warping(found, expected)[1:] == (splits / total, merges / total)


def test_diagonals_part_cells_of_four_neighbours_only() -> None:
    expected = ~np.eye(6, dtype=bool)
    found = expected.copy()
    found[2, 2] = True
    assert warping(found, expected).merge == 1 / 36
    assert topology(expected, 4)[0] == 2
    assert topology(expected, 8)[0] == 1
    assert warping(found, expected, connectivity=8).merge == 0


def test_where_deformation_is_not_allowed_every_difference_counts() -> None:
    expected, found = rooms(), np.ones((19, 19), bool)
    found[8], found[:, 9] = False, False
    assert warping(found, expected).error == 0
    nowhere = np.zeros_like(expected)
    assert warping(found, expected, nowhere).error == (found != expected).mean()


def test_objects_that_touch_are_parted_by_a_line() -> None:
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 0]])
    expected = [[1, 1, 0, 1], [1, 1, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(parted(labels), np.array(expected, bool))
    np.testing.assert_array_equal(parted(labels * 0 + 7), np.ones((3, 4), bool))


def test_planes_that_do_not_do() -> None:
    with pytest.raises(InputError, match="plane by plane"):
        warping(np.ones((2, 3, 3)), np.ones((2, 3, 3)))
    with pytest.raises(InputError, match="equal ones"):
        warping(np.ones((3, 4)), np.ones((3, 3)))
    with pytest.raises(Undefined, match="no pixel"):
        warping(np.ones((0, 4)), np.ones((0, 4)))
