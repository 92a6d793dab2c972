from __future__ import annotations

import pytest
from translations import narrowed

from napari_tincture.errors import InputError
from napari_tincture.training.networks import check_crops
from napari_tincture.training.presets import preset
from napari_tincture.training.translate import Run, make_trainer


@pytest.mark.parametrize(
    ("family", "crop", "message"),
    [
        ("cyclegan", 97, "forward.*gives images of 100 × 100 px.*crops of 96 px"),
        ("cyclegan", 16, "discriminator.*at least 24 pixels.*crops of 32 px"),
        ("pix2pix", 100, "forward.*crops of 96 px"),
        ("ugatit", 97, "forward.*multiple of 4.*crops of 96 px"),
    ],
)
def test_crops_that_do_not_suit_the_networks_are_refused(
    family: str, crop: int, message: str
) -> None:
    recipe = narrowed(preset(family, "tiny", crop=crop))
    with pytest.raises(InputError, match=f"Crops of {crop} px do not suit.*{message}"):
        check_crops(recipe)
    with pytest.raises(InputError, match=f"Crops of {crop} px"):
        make_trainer(recipe, Run())


@pytest.mark.parametrize("family", ["cyclegan", "pix2pix", "ugatit", "pix2pixhd"])
def test_crops_of_the_presets_suit(family: str) -> None:
    check_crops(preset(family, "standard"))
