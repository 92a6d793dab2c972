from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label

from napari_tincture.deriving.elastic import bend, displacement, thin

SHAPE = (120, 150)


def grid(side: int = 15) -> np.ndarray:
    """Cells of 0 between lines of 7, each one pixel wide."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[::side] = 7
    labels[:, ::side] = 7
    return labels


def field(longest: float = 6, smoothness: float = 12, seed: int = 0) -> np.ndarray:
    return displacement(SHAPE, longest, smoothness, np.random.default_rng(seed))


def test_the_longest_vector_is_as_long_as_said_and_edges_slide_along_themselves() -> None:
    found = field()
    assert np.hypot(*found).max() == pytest.approx(6, rel=1e-5)
    # Half a pixel from the edge it is at most half a pixel's change.
    assert abs(found[0][[0, -1]]).max() < 0.5
    assert abs(found[1][:, [0, -1]]).max() < 0.5
    assert abs(found[1][0]).max() > 1


def test_neighbouring_pixels_move_alike() -> None:
    found = field(smoothness=12)
    # Of a Gaussian field of standard deviation s, that of differences is s / (√2 σ) per pixel.
    steps = np.diff(found[1], axis=0)[:, 30:-30].std()
    assert steps == pytest.approx(found[1][:, 30:-30].std() / (np.sqrt(2) * 12), rel=0.3)


@pytest.mark.parametrize("seed", range(3))
def test_the_map_does_not_fold_at_the_least_smoothness(seed: int) -> None:
    (yy, yx), (xy, xx) = np.gradient(field(12, 12, seed), axis=(1, 2))
    assert ((1 + yy) * (1 + xx) - yx * xy).min() > 0


def test_labels_come_from_no_farther_than_the_field_is_long() -> None:
    labels = np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.int32)
    labels = ndimage.zoom(labels[:30, :38], 4, order=0)[: SHAPE[0], : SHAPE[1]]
    found = bend(labels, field(5, 10))
    assert (found != labels).any()
    for value in np.unique(labels):
        distance = ndimage.distance_transform_edt(labels != value)
        # Half a pixel's diagonal is lost in rounding.
        assert distance[found == value].max() <= 5 + np.sqrt(0.5)


def test_lines_of_one_pixel_stay_closed() -> None:
    labels, own = grid(), field()
    cells = label(labels == 0, connectivity=1).max()
    found = bend(labels, own)
    y, x = np.indices(SHAPE) + own
    plain = ndimage.map_coordinates(labels, [y, x], order=0, mode="nearest")
    assert label(plain == 0, connectivity=1).max() < cells / 2
    assert abs(label(found == 0, connectivity=1).max() - cells) <= 0.03 * cells
    assert (found == 7).sum() < 1.25 * (labels == 7).sum()


def test_single_pixels_are_not_lost() -> None:
    labels = np.zeros(SHAPE, np.uint16)
    labels[5::10, 5::10] = np.arange(1, 181).reshape(12, 15)
    assert set(np.unique(bend(labels, field()))) == set(range(181))


def test_without_a_field_nothing_changes() -> None:
    labels = np.random.default_rng(1).integers(0, 4, SHAPE)
    np.testing.assert_array_equal(bend(labels, np.zeros((2, *SHAPE), np.float32)), labels)


def test_thin_is_what_no_square_covers() -> None:
    labels = np.zeros((8, 9), np.uint8)
    labels[2:5, 2:5] = 1
    labels[2:5, 7] = 2
    labels[6, 0] = 3
    expected = np.isin(labels, (2, 3))
    expected[2:5, 8] = True  # what the line leaves of the ground
    expected[7, 0] = True
    np.testing.assert_array_equal(thin(labels), expected)
