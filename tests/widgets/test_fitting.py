from __future__ import annotations

import numpy as np

from napari_tincture.models import Channel, ModelCard
from napari_tincture.models.card import RGB
from napari_tincture.raster import Raster
from napari_tincture.widgets._fitting import best_fitting


def card(*names: str) -> ModelCard:
    return ModelCard("m", "stain", "unet", tuple(map(Channel, names)), (Channel("out"),))


CARDS = {"grey": card("grey"), "colour": card(*RGB), "stack": card("z0", "z1", "z2", "z3")}


def raster(axes: str, *shape: int, **options: object) -> Raster:
    return Raster.from_array(np.zeros(shape, np.uint8), axes, **options)


def test_the_model_that_takes_most_of_the_image_fits_best() -> None:
    assert best_fitting(raster("yx", 8, 8), CARDS) == "grey"
    assert best_fitting(raster("zyx", 4, 8, 8), CARDS) == "stack"
    assert best_fitting(raster("zyx", 3, 8, 8), CARDS) == "colour"
    assert best_fitting(raster("cyx", 3, 8, 8, rgb=True), CARDS) == "colour"
    assert best_fitting(raster("cyx", 2, 8, 8), CARDS) == ""


def test_names_count_more_than_numbers() -> None:
    named = {"three": card("a", "b", "c"), "one": card("DAPI")}
    image = raster("cyx", 3, 8, 8, channels=("x", "y", "DAPI"))
    assert best_fitting(image, named) == "one"
