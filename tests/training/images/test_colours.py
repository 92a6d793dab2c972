from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import hsv2rgb, rgb2hsv

from napari_tincture.errors import InputError
from napari_tincture.training.images.augment import Augment
from napari_tincture.training.images.colours import ColourShift, draw_shift

RGB = np.random.default_rng(0).random((3, 9, 10))
UNIT = (0.0, 1.0)


def shifted(**change: float) -> np.ndarray:
    return ColourShift(**change, value_range=UNIT)(torch.from_numpy(RGB)).numpy()


def test_nothing_changes_by_default() -> None:
    image = torch.from_numpy(RGB)
    assert torch.equal(draw_shift(Augment(), np.random.default_rng(0))(image), image)


@pytest.mark.parametrize("turns", [0.25, -0.4])
def test_hue_is_scikit_images(turns: float) -> None:
    hsv = rgb2hsv(RGB, channel_axis=0)
    hsv[0] = (hsv[0] + turns) % 1
    expected = hsv2rgb(hsv, channel_axis=0)
    np.testing.assert_allclose(shifted(hue=turns), expected, atol=1e-12)


def test_factors_are_what_they_say() -> None:
    np.testing.assert_allclose(shifted(brightness=1.3), np.minimum(1.3 * RGB, 1))
    grey = np.tensordot([0.299, 0.587, 0.114], RGB, 1)
    np.testing.assert_allclose(shifted(contrast=0.5), grey.mean() + 0.5 * (RGB - grey.mean()))
    np.testing.assert_allclose(shifted(saturation=0.0), np.stack([grey] * 3))


def test_the_range_of_values_is_stated() -> None:
    shift = ColourShift(1.2, 0.7, 1.5, 0.1, UNIT)
    wide = ColourShift(1.2, 0.7, 1.5, 0.1, (-1.0, 1.0))
    image = torch.from_numpy(RGB)
    torch.testing.assert_close(wide(2 * image - 1), 2 * shift(image) - 1)


def test_draws_stay_within_their_limits_and_fill_them() -> None:
    augment = Augment(brightness=0.2, contrast=0.3, saturation=0.4, hue=0.1)
    drawn = [draw_shift(augment, np.random.default_rng(seed)) for seed in range(200)]
    for name, middle, limit in (
        ("brightness", 1, 0.2), ("contrast", 1, 0.3), ("saturation", 1, 0.4), ("hue", 0, 0.1),
    ):  # fmt: skip
        values = np.array([getattr(shift, name) for shift in drawn]) - middle
        assert np.abs(values).max() <= limit
        assert values.max() > 0.9 * limit
        assert values.min() < -0.9 * limit


def test_grey_images_have_no_hue() -> None:
    grey = torch.from_numpy(RGB[:1])
    assert not torch.equal(ColourShift(brightness=0.5, value_range=UNIT)(grey), grey)
    with pytest.raises(InputError, match="got 1 channels"):
        ColourShift(hue=0.1)(grey)
