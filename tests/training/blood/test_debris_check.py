import numpy as np
import pytest
import scipy.ndimage as ndi

from napari_tincture.errors import InputError
from napari_tincture.samples import unstained_blood
from napari_tincture.training.blood.debris_check import dark_debris, stained_fraction

BACKGROUND = (198.0, 200.0, 195.0)


@pytest.fixture
def two_objects():
    mask = np.zeros((60, 80), bool)
    mask[10:20, 10:30] = mask[35:50, 40:60] = True
    return mask, np.ones((60, 80, 3)) * BACKGROUND


def test_grey_debris_is_not_stained(two_objects):
    mask, image = two_objects
    image[mask] *= 0.3
    found = stained_fraction(image, mask)
    assert (found.pixels, found.objects, found.count) == (0.0, 0.0, 2)


@pytest.mark.parametrize("colour", [(106, 84, 192), (170, 130, 150), (60, 30, 90)])
def test_purple_and_pink_debris_is(two_objects, colour):
    mask, image = two_objects
    image[mask] = colour
    found = stained_fraction(image, mask)
    assert (found.pixels, found.objects) == (1.0, 1.0)


def test_one_of_two_objects(two_objects):
    mask, image = two_objects
    image[mask] *= 0.3
    image[10:20, 10:30] = (106, 84, 192)
    found = stained_fraction(image, mask)
    assert found.pixels == pytest.approx(200 / 500)
    assert found.objects == 0.5


def test_wrong_masks_are_named(two_objects):
    mask, image = two_objects
    with pytest.raises(InputError, match="one size"):
        stained_fraction(image, mask[1:])
    with pytest.raises(InputError, match="is empty"):
        stained_fraction(image, np.zeros_like(mask))


def test_the_real_field_has_four_pieces_of_debris_and_no_cell_among_them():
    mask = dark_debris(np.asarray(unstained_blood()))
    labels, count = ndi.label(mask)
    centres = np.array(ndi.center_of_mass(mask, labels, range(1, count + 1)))
    # Seen by eye: three clumps, the second hanging on a cell that is left out, and a speck.
    expected = np.array([(22, 989), (116, 872), (333, 347), (669, 785)])
    assert count == 4
    np.testing.assert_allclose(centres, expected, atol=6)
    for cell in ((298, 358), (247, 353), (360, 422), (104, 508), (748, 296)):
        assert not mask[cell]
