from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_tincture import samples
from napari_tincture.models import Channel, ModelCard
from napari_tincture.models.card import RGB
from napari_tincture.raster import Raster
from napari_tincture.widgets._fitting import best_fitting
from napari_tincture.widgets.segment import SegmentPanel


def card(*names: str) -> ModelCard:
    return ModelCard("m", "stain", "unet", tuple(map(Channel, names)), (Channel("out"),))


CARDS = {"grey": card("grey"), "colour": card(*RGB), "stack": card("z0", "z1", "z2", "z3")}


def raster(axes: str, *shape: int, **options: object) -> Raster:
    return Raster.from_array(np.zeros(shape, np.uint8), axes, **options)


def fitting(image: Raster, cards: Mapping[str, ModelCard]) -> str:
    return best_fitting(image, cards, lambda _: 1)


def test_the_model_that_takes_most_of_the_image_fits_best() -> None:
    assert fitting(raster("yx", 8, 8), CARDS) == "grey"
    assert fitting(raster("zyx", 4, 8, 8), CARDS) == "stack"
    assert fitting(raster("zyx", 3, 8, 8), CARDS) == "colour"
    assert fitting(raster("cyx", 3, 8, 8, rgb=True), CARDS) == "colour"
    assert fitting(raster("cyx", 2, 8, 8), CARDS) == ""


def test_names_count_more_than_numbers() -> None:
    named = {"three": card("a", "b", "c"), "one": card("DAPI")}
    image = raster("cyx", 3, 8, 8, channels=("x", "y", "DAPI"))
    assert fitting(image, named) == "one"


def test_of_models_that_fit_alike_the_one_that_knows_such_values_is_chosen(viewer: Any) -> None:
    assert best_fitting(raster("yx", 8, 8), {"a": card("x"), "b": card("y")}, lambda _: 0) == "a"
    nuclei = viewer.add_image(np.asarray(samples.nuclei()).squeeze(), name="nuclei")
    panel = SegmentPanel(viewer)
    assert panel.model.name == "nuclei", "cells and micrographs have other values"
    assert nuclei.name == panel.layer.value
