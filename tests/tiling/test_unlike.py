"""A warning where an image's values lie far outside those that the model was trained on."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from models import image_of, model_of
from networks import Fn
from two_way import noisy

from napari_tincture import Raster, stain
from napari_tincture.errors import TinctureWarning
from napari_tincture.models import Normalisation
from napari_tincture.models.statistics import measured, summary

KNOWN = image_of((2, 50, 60))
STATISTICS = summary([measured(KNOWN.astype(np.float64))], 1, None)


def model(**card):
    network = Fn(lambda _, x: x[:, :1])
    options = {"normalisation": Normalisation("none"), "training_statistics": STATISTICS}
    return model_of(network, 2, 1, **{**options, **card})


def run(image, found, **options):
    return np.asarray(stain(Raster.from_array(image, "cyx"), found, tile=32, **options))


def test_an_unlike_image_is_told_once_when_it_is_computed() -> None:
    lazy = stain(Raster.from_array(KNOWN // 20, "cyx"), model(), tile=16)
    with pytest.warns(TinctureWarning, match="Channel .* trained on .* 'small'") as caught:
        np.asarray(lazy)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lazy.data.compute(scheduler="sync")


def test_like_images_and_models_that_know_nothing_are_not_told_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(image_of((2, 50, 60), seed=4), model())
        run(KNOWN // 20, model(training_statistics={}))


def test_only_the_middle_plane_is_looked_at() -> None:
    stack = np.stack([KNOWN // 20, KNOWN, KNOWN // 20])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.asarray(stain(Raster.from_array(stack, "tcyx"), model(), tile=32))


def test_noise_is_no_image() -> None:
    drawn = noisy(back=False)
    known = type(drawn)(drawn.network, drawn.card.replace(training_statistics=STATISTICS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(KNOWN, known, context="exact")
    with pytest.warns(TinctureWarning, match="Channel 1"):
        run(KNOWN // 20, known, context="exact")
