from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from painters import denoiser, label_map
from references import DATA

import napari_tincture as nt
from napari_tincture.errors import InputError, ModelError
from napari_tincture.placement import Placement

MODEL = nt.import_checkpoint(DATA / "sr3_tiny_sr3/I10_E1_gen.pth", norm_groups=8, image_size=32)


def picture() -> nt.Raster:
    values = np.random.default_rng(0).integers(0, 255, (3, 20, 24)).astype(np.uint8)
    place = Placement.build(("c", "y", "x"), scale=(1, 0.5, 0.5), units=("pixel", "um", "um"))
    return nt.Raster.from_array(values, "cyx", rgb=True, placement=place)


def test_pixels_are_smaller_and_the_place_is_the_same() -> None:
    result = nt.enlarge(picture(), MODEL, 2, steps=2)
    assert result.shape == (3, 40, 48)
    assert result.rgb
    assert result.scale[1:] == (0.25, 0.25)
    # The middle of the first pixel is a quarter of an old pixel away from the old middle.
    assert result.translate[1:] == (-0.125, -0.125)
    image = np.asarray(result)
    np.testing.assert_array_equal(image, np.asarray(nt.enlarge(picture(), MODEL, 2, steps=2)))


@pytest.mark.parametrize(
    ("image", "factor", "message"),
    [
        (picture(), 1, "factor"),
        (picture(), 2.5, "factor"),
        (nt.open_image(np.zeros((20, 24), np.uint8)), 2, "1 channels"),
    ],
)
def test_images_and_factors_that_do_not_suit_are_refused(
    image: Any, factor: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        nt.enlarge(image, MODEL, factor)


def test_nan_is_refused_and_models_of_maps_enlarge_nothing() -> None:
    image = nt.open_image(np.full((3, 20, 24), np.nan, np.float32), axes="cyx")
    with pytest.raises(InputError, match="NaN"):
        np.asarray(nt.enlarge(image, MODEL, 2, steps=1))
    with pytest.raises(ModelError, match="label maps"):
        nt.enlarge(label_map(), denoiser())
