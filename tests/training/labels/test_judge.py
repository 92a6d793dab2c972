from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from cells import discs, named
from torch import nn

from napari_tincture.errors import TinctureWarning
from napari_tincture.models.card import Part
from napari_tincture.training.fitting import fitted
from napari_tincture.training.images.material import open_material
from napari_tincture.training.labels.judge import LabelJudge
from napari_tincture.training.presets import preset

NARROW = {"in_channels": 1, "out_channels": 3, "depth": 1, "width": 1, "padded": True}


def judge(
    labels: list[np.ndarray], card: dict[str, Any] | None = None, **options: Any
) -> tuple[LabelJudge, nn.Module]:
    recipe = preset("segmentation", "tiny", crop=16, options=options, split={"validation": 0})
    recipe = recipe.replace(networks={"forward": Part("unet", NARROW)}, card=card or {})
    images = [named(discs(n)[0][: len(own)], f"i{n}") for n, own in enumerate(labels)]
    given = {"image": images, "labels": [named(own, f"i{n}") for n, own in enumerate(labels)]}
    recipe, material = fitted(recipe, open_material(recipe, images=given))
    network = recipe.build_networks()["forward"]
    return LabelJudge(recipe, material.train), network


def constant(network: nn.Module, values: list[float]) -> nn.Module:
    with torch.no_grad():
        network.last.weight.zero_()
        network.last.bias.copy_(torch.tensor(values))
    return network


def test_figures_are_those_of_all_labelled_pixels_together() -> None:
    small, large = np.zeros((16, 64), np.uint8), np.full((32, 64), 5, np.uint8)
    small[:4], small[4:8] = 5, 7
    large[:8] = 7
    own, network = judge([small, large])
    with pytest.warns(TinctureWarning, match=r"0\.35 is no better.*class 5 everywhere: 0\.35"):
        found = own({"forward": constant(network, [3.0, 1.0])})
    # 28 rows of class 5, 12 of class 7; 8 rows are unlabelled.
    assert found["accuracy"] == 28 / 40
    assert found["iou class 5"] == 28 / 40
    assert found["mean_iou"] == found["constant"] == found["score"] == (28 / 40 + 0) / 2
    assert found["mean_dice"] == pytest.approx(56 / 68 / 2)


def test_what_beats_a_constant_is_not_warned_of() -> None:
    image = discs(0)[0]
    own, network = judge([np.where(image > 120, 2, 1).astype(np.uint8)])
    with torch.no_grad():
        # The first level's skip carries the image; all else is shut.
        for parameter in network.parameters():
            parameter.zero_()
        for block in (network.down[0], network.merge[0]):
            for layer in block:
                if isinstance(layer, nn.Conv2d):
                    layer.weight[:, -1, 1, 1] = 1.0
        network.last.weight.copy_(torch.tensor([-10.0, 10.0])[:, None, None, None])
        low, high = np.percentile(image, [1.0, 99.8])
        middle = 10 * (120.5 - low) / (high - low)
        network.last.bias.copy_(torch.tensor([middle, -middle]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = own({"forward": network})
    assert found["mean_iou"] == found["accuracy"] == 1.0
    assert 0 < found["constant"] < 0.5


def test_objects_are_compared_one_by_one() -> None:
    _, objects = discs(0)
    empty = np.zeros_like(objects)
    own, network = judge([objects, empty], target="instances")
    with pytest.warns(TinctureWarning, match="background everywhere"):
        found = own({"forward": constant(network, [-9.0, -9.0, -9.0])})
    # Nothing is found: wrong where there is something, right where there is nothing.
    assert found["ap_50"] == found["f1"] == 0.5
    assert found["constant"] == found["score"] == 1.0


@pytest.mark.parametrize(("least", "found"), [(100, 1.0), (5000, 0.0)])
def test_objects_are_made_as_the_recipes_card_says(least: int, found: float) -> None:
    step = {"threshold": 0.5, "min_size": least, "largest": 64}
    labels = np.zeros((32, 64), np.uint8)
    labels[1:] = 1
    own, network = judge([labels], {"instances": step}, target="instances")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TinctureWarning)
        figures = own({"forward": constant(network, [3.0, -3.0, 3.0])})
    assert figures["f1_50"] == found
