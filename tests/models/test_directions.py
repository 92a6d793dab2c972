"""The way back of a model, as a model."""

from __future__ import annotations

import pytest
import torch
from two_way import TANH, noisy, two_way

from napari_tincture.errors import ModelError
from napari_tincture.models import Normalisation
from napari_tincture.models.card import RGB, Channel
from napari_tincture.models.directions import turned


def test_backward_twice_is_forward() -> None:
    model = two_way("ugatit", "ugatit")
    again = turned(turned(model))
    assert again.network is model.network
    for name in model.card.parts:
        assert again.part(name) is model.part(name), name
    before = model.card.replace(target_normalisation=None)
    changed = {"name", "stride", "halo", "exact", "target_normalisation"}
    for field in before.__dataclass_fields__:
        if field not in changed:
            assert getattr(again.card, field) == getattr(before, field), field


def test_backward_swaps_what_belongs_to_the_domains() -> None:
    target = Normalisation("percentile", 1, 99, (-1, 1))
    model = two_way("ugatit", target_normalisation=target, calibration=(0.0, 1.0))
    back = turned(model)
    assert back.network is model.part("backward")
    assert back.part("backward") is model.network
    assert back.part("discriminator") is model.part("discriminator_backward")
    assert back.part("discriminator_local_backward") is model.part("discriminator_local")
    assert [c.name for c in back.card.inputs] == ["b0", "b1"]
    assert [c.name for c in back.card.outputs] == ["a0", "a1"]
    assert (back.card.normalisation, back.card.target_normalisation) == (target, TANH)
    assert back.card.calibration == (), "quantiles are of the other domain"
    x = torch.rand(1, 2, 16, 16)
    assert torch.equal(back.network(x), model.part("backward")(x))


def test_values_without_a_rule_span_the_range_of_outputs() -> None:
    assert turned(two_way()).card.normalisation == Normalisation("dtype", target=(-1.0, 1.0))


def test_colour_and_noise_stay_what_they_are() -> None:
    options = {"in_channels": 3, "out_channels": 3, "ngf": 2, "n_blocks": 1}
    inputs = tuple(Channel(name, colour=name) for name in RGB)
    model = two_way()
    card = model.card.replace(inputs=inputs, outputs=(Channel("he"),) * 3, rgb_output=True)
    back = turned(type(model)(model.network, card, {n: model.part(n) for n in card.parts}))
    assert options["in_channels"] == len(back.card.inputs)
    assert back.card.rgb_input
    assert back.card.rgb_output
    assert [c.source for c in turned(noisy()).card.inputs] == ["image", "image", "noise"]


def test_a_model_of_one_direction_says_so() -> None:
    with pytest.raises(ModelError, match="one direction"):
        turned(noisy(back=False))
