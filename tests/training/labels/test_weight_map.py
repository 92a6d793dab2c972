from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from napari_tincture.errors import InputError
from napari_tincture.training.labels import weight_map as module
from napari_tincture.training.labels.weight_map import (
    border_reach,
    class_weights,
    split_touching,
    weight_map,
)


def field(height: int = 90, width: int = 110, count: int = 30) -> np.ndarray:
    """Discs that touch, overlap the edge, or lie apart; their ids are neither close nor sorted."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:height, :width]
    labels = np.zeros((height, width), np.int64)
    for name in rng.permutation(count) * 7 + 2**33:
        cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(2, 11)
        labels[((y - cy) ** 2 + (x - cx) ** 2 < r**2) & (labels == 0)] = name
    return labels


LABELS = field()


def by_one_transform_per_cell(
    labels: np.ndarray, w0: float, sigma: float, classes: tuple[float, float]
) -> np.ndarray:
    labels = split_touching(labels)
    cells = np.unique(labels[labels > 0])
    distances = [ndimage.distance_transform_edt(labels != cell) for cell in cells]
    d1, d2 = np.sort(distances, axis=0)[:2]
    border = w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return np.where(labels > 0, classes[1], classes[0] + border)


# What is cut off is at most 1.5e-8 w0; the rest is the rounding of float32 values up to 12.
@pytest.mark.parametrize(("w0", "sigma"), [(10.0, 5.0), (8.0, 1.3), (10.0, 9.0)])
def test_weights_are_those_of_one_distance_transform_per_cell(
    monkeypatch: pytest.MonkeyPatch, w0: float, sigma: float
) -> None:
    monkeypatch.setattr(module, "BAND", 40)
    found = weight_map(LABELS, w0=w0, sigma=sigma, classes=(0.5, 2.0))
    expected = by_one_transform_per_cell(LABELS, w0, sigma, (0.5, 2.0))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert found.max() > 0.5 + 0.8 * w0 * np.exp(-2 / sigma**2)


def test_distances_that_leave_labels_no_room_in_32_bits() -> None:
    # 5 bits of labels beside 28 of squared distances; nothing is as far, so nothing is cut off.
    found = weight_map(LABELS, sigma=1400.0)
    expected = by_one_transform_per_cell(LABELS, 10.0, 1400.0, (1.0, 1.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "turn", [np.flipud, np.fliplr, np.transpose, np.rot90], ids=lambda f: f.__name__
)
def test_the_line_between_cells_follows_flips_and_turns(
    turn: Callable[[np.ndarray], np.ndarray],
) -> None:
    np.testing.assert_array_equal(split_touching(turn(LABELS)), turn(split_touching(LABELS)))


def test_touching_cells_are_parted_by_one_pixel() -> None:
    labels = np.array([[9, 9, 9, 4, 4, 4], [9, 9, 9, 4, 4, 4], [0, 0, 0, 9, 9, 9]])
    expected = np.array([[9, 9, 0, 4, 4, 4], [9, 9, 0, 4, 4, 4], [0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(split_touching(labels), expected)
    np.testing.assert_array_equal(split_touching(labels.astype(np.uint8)), expected)


def test_parted_cells_touch_nowhere_and_stay() -> None:
    parted = split_touching(LABELS)
    assert parted.dtype == LABELS.dtype
    changed = parted != LABELS
    assert changed.any()
    assert not parted[changed].any()
    np.testing.assert_array_equal(split_touching(parted), parted)
    shown = parted > 0
    parts, count = ndimage.label(shown, np.ones((3, 3)))
    for part in range(1, count + 1):
        assert len(np.unique(parted[parts == part])) == 1


def test_a_window_with_its_surroundings_has_the_weights_of_the_whole() -> None:
    sigma = 1.5
    reach = border_reach(sigma)
    whole, parted = weight_map(LABELS, sigma=sigma), split_touching(LABELS)
    y, x = slice(30, 61), slice(40, 73)
    window = LABELS[y.start - reach : y.stop + reach, x.start - reach : x.stop + reach]
    inner = slice(reach, -reach), slice(reach, -reach)
    np.testing.assert_array_equal(weight_map(window, sigma=sigma)[inner], whole[y, x])
    np.testing.assert_array_equal(split_touching(window)[inner], parted[y, x])


def test_cells_and_unlabelled_pixels_have_no_border_term() -> None:
    labels = LABELS.copy()
    labels[:20] = -1
    weights = weight_map(labels, classes=(1.0, 3.0))
    assert not weights[:20].any()
    assert np.unique(weights[split_touching(labels) > 0]) == 3.0


@pytest.mark.parametrize("kept", [0, 1])
def test_fewer_than_two_cells_have_no_border(kept: int) -> None:
    labels = np.zeros((12, 9), np.int32)
    labels[3:6, 2:5] = 5 * kept
    np.testing.assert_array_equal(weight_map(labels), np.ones((12, 9), np.float32))


def test_class_weights_balance_the_pixels() -> None:
    counts = [700, 0, 200, 100]
    weights = class_weights(counts)
    assert [w * c for w, c in zip(weights, counts, strict=True)] == pytest.approx(
        [1000 / 3, 0, 1000 / 3, 1000 / 3]
    )
    assert weights[1] == 1


def test_labels_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match=r"float64 of shape \(2, 2\)"):
        weight_map(np.ones((2, 2)))
    with pytest.raises(InputError, match=r"shape \(1, 2, 2\)"):
        split_touching(np.ones((1, 2, 2), int))
    with pytest.raises(InputError, match="sigma=0"):
        weight_map(LABELS, sigma=0)
