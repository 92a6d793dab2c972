from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from napari_tincture.errors import ModelError
from napari_tincture.models.denoisers.semantic_sr3 import SMALL, SemanticSR3, build
from napari_tincture.models.layers.semantic_blocks import ResidualBlock
from napari_tincture.models.layers.spade import SpadeGroupNorm

SIZE = (8, 16)


def small(**options: Any) -> SemanticSR3:
    """A network in inference mode, of which no layer is zero."""
    torch.manual_seed(0)
    network = build(**{**SMALL, **options}).eval()
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return network


def given(classes: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, 2, *SIZE), torch.tensor([0.3, 0.8]), torch.rand(2, classes, *SIZE)


@pytest.mark.parametrize("blocks", ["plain", "biggan"])
@pytest.mark.parametrize("condition", ["concatenate", "spade", "both"])
@pytest.mark.parametrize("patch", [1, 2, 4])
def test_every_choice_sees_the_label_map(blocks: str, condition: str, patch: int) -> None:
    network = small(blocks=blocks, condition=condition, patch=patch, attention_factors=(2 * patch,))
    assert network.stride == 2 * patch
    norms = [m for m in network.modules() if isinstance(m, SpadeGroupNorm)]
    assert bool(norms) == (condition != "concatenate")
    x, time, label = given()
    with torch.inference_mode():
        result = network(x, time, label)
        other = network(x, time, label.flip(1))
    assert result.shape == x.shape
    assert (result - other).abs().max() > 1e-3


def test_at_first_the_result_is_zero() -> None:
    network = build(**SMALL)
    assert network(*given()).abs().max() == 0


def test_levels_are_chosen_by_how_much_smaller_they_are() -> None:
    options = {"channel_mult": (1, 1, 1), "attention_factors": (4,), "spade_factors": (8,)}
    network = small(**options)
    keys = network.state_dict().keys()
    attending = {key.split(".")[1] for key in keys if ".qkv." in key and key.startswith("enc")}
    assert attending == {"1"}
    norms = {key.split(".")[1] for key in keys if "mlp_shared" in key and key.startswith("dec")}
    assert norms == {"0"}  # the coarsest
    with pytest.raises(ModelError, match=r"no levels \[16\]; .* \[2, 4, 8\]"):
        build(**{**SMALL, **options, "attention_factors": (4, 16)})


def test_noise_is_told_as_level_or_as_index() -> None:
    level, index = small(), small(time="index")
    x, time, label = given()
    with torch.inference_mode():
        result = index(x, time * 1000, label)
        torch.testing.assert_close(level(x, time, label), result, rtol=0, atol=0)


def test_biggan_sums_keep_the_variance() -> None:
    network = build(**SMALL)
    block = next(m for m in network.modules() if isinstance(m, ResidualBlock))
    x = torch.randn(1, 8, *SIZE)
    embedded = torch.zeros(1, 32)
    # Its branch is zero at first.
    torch.testing.assert_close(block(x, embedded, x), x / math.sqrt(2))
    plain = build(**{**SMALL, "blocks": "plain"})
    block = next(m for m in plain.modules() if isinstance(m, ResidualBlock))
    torch.testing.assert_close(block(x, embedded, x), x, rtol=0, atol=0)


def test_styles_are_numbers_or_vectors() -> None:
    network = small(styles=2, style_dim=3)
    assert network.style is not None
    values = given()
    numbers = torch.tensor([1, 2])
    with torch.inference_mode():
        unknown = network(*values)
        by_number = network(*values, numbers)
        by_vector = network(*values, network.style.vectors(numbers))
        swapped = network(*values, numbers.flip(0))
        torch.testing.assert_close(network(*values, torch.zeros(2, dtype=int)), unknown)
    torch.testing.assert_close(by_number, by_vector, rtol=0, atol=0)
    assert (by_number - unknown).abs().max() > 1e-4
    assert (by_number - swapped).abs().max() > 1e-4


def test_gradients_reach_the_styles() -> None:
    network = small(styles=2, style_dim=3)
    network(*given(), torch.tensor([1, 2])).square().mean().backward()
    assert network.style is not None
    for key, parameter in network.style.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 0, key


def test_without_styles_there_are_no_parameters_for_them() -> None:
    network = small()
    assert not [key for key in network.state_dict() if "style" in key]
    with pytest.raises(ModelError, match="knows no styles"):
        network(*given(), torch.tensor([1, 1]))


def test_images_of_nothing_in_particular() -> None:
    network = small(in_channels=0, condition="concatenate")
    assert network(*given(0)).shape == (2, 2, *SIZE)
    with pytest.raises(ModelError, match="condition='concatenate'"):
        build(in_channels=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": "dense"}, "Unknown blocks 'dense': choose one of plain, biggan"),
        ({"condition": "film"}, "Unknown condition 'film'"),
        ({"time": "sigma"}, "Unknown time 'sigma'"),
        ({"patch": 3, "attention_factors": ()}, "patch 1, 2 or 4 .* patch 3"),
        ({"channel_mult": (), "attention_factors": ()}, "positive sizes"),
        ({"res_blocks": 0}, "res_blocks 0"),
        ({"spade_kernel": 2}, "spade_kernel 2"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(**{**SMALL, **options})
