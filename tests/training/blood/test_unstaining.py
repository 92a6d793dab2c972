import numpy as np
import pytest

from napari_tincture.errors import InputError
from napari_tincture.samples import blood_smear
from napari_tincture.training.blood.debris import VISIBLE, debris_density, shaded
from napari_tincture.training.blood.unstaining import (
    absorbance,
    empty_field,
    simulated_pair,
    unmixed,
    unstained,
)

DIAMETER = 47.1


@pytest.fixture(scope="module")
def smear():
    return np.moveaxis(np.asarray(blood_smear()), 0, -1)[::2, ::2].astype(float)


def test_one_seed_one_result(smear):
    first, again, other = (unstained(smear, seed, diameter=DIAMETER) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.uint8
    assert first.shape == smear.shape[:2]
    assert (first != other).mean() > 0.5


def test_red_cells_are_dark_and_nuclei_are_not(smear):
    grey = unstained(smear, 3, diameter=DIAMETER).astype(float)
    stains = unmixed(smear)
    nuclei = (stains.nuclei > 0.6) & (stains.red_cells < 0.3)
    red = (stains.red_cells > 0.8) & (stains.nuclei < 0.1)
    empty = empty_field(smear, DIAMETER)
    assert nuclei.sum() > 100
    # As in the real field: an empty field near 243, cells of 60 to 110.
    assert 228 < np.median(grey[empty]) < 250
    assert 55 < np.median(grey[red]) < 115
    assert np.median(grey[nuclei]) > 190


def test_background_absorbs_nothing(smear):
    empty = empty_field(smear, DIAMETER)
    assert np.abs(np.median(absorbance(smear)[empty], axis=0)).max() < 0.02


def test_debris_stays_grey_in_both(smear):
    pair = simulated_pair(smear, 5, diameter=DIAMETER)
    empty = empty_field(smear, DIAMETER)
    assert pair.mask.sum() > 20
    assert not (pair.mask & ~empty).any()
    bare = unstained(smear, 5, diameter=DIAMETER).astype(float)
    assert (bare[pair.mask] - pair.source[pair.mask]).mean() > 30
    ratio = (pair.target[pair.mask] + 1.0) / (smear[pair.mask] + 1.0)
    assert ratio.max() < np.exp(-VISIBLE) + 0.03
    # Rounding to 8 bits, on values of at least 10.
    assert np.ptp(ratio, axis=1).max() < 0.11
    away = empty & (debris_density(empty, 5, diameter=DIAMETER) == 0)
    np.testing.assert_array_equal(pair.target[away], np.rint(smear[away]))


def test_debris_is_the_same_behind_any_image(smear):
    free = np.ones(smear.shape[:2], bool)
    density = debris_density(free, 7, diameter=DIAMETER)
    mask = density > VISIBLE
    grey = shaded(np.full(free.shape, 200.0), density)
    colour = shaded(np.full(smear.shape, 200.0), density)
    np.testing.assert_array_equal(colour, np.repeat(grey[..., None], 3, axis=-1))
    assert (grey[mask] <= 200 * np.exp(-VISIBLE) + 0.5).all()
    nothing = shaded(smear, np.zeros(free.shape))
    np.testing.assert_array_equal(nothing, smear)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((40, 40)), r"RGB image"),
        (np.zeros((8, 40, 3)), r"at least 16"),
    ],
)
def test_what_is_no_smear_is_refused(image, words):
    with pytest.raises(InputError, match=words):
        unstained(image, 0)


def test_a_smear_without_empty_field_is_refused():
    crowded = np.full((64, 64, 3), 100.0)
    crowded[:2, :2] = 200.0
    with pytest.raises(InputError, match="background cannot be measured"):
        unstained(crowded, 0)
