from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.networks import autoencoder, encoder_unet, unet
from napari_tincture.models.networks.autoencoder import hand_over

UNET = {"depth": 2, "width": 4, "norm": "batch", "residual": True}
ENCODER = {"depth": 2, "width": 4}


def state_of(encoder: str, options: dict[str, Any]) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    network = autoencoder.build(1, encoder=encoder, encoder_options=options, width=2)
    network(torch.randn(2, 1, 32, 32))  # so that running statistics are not those of the start
    return network.state_dict()


def network_of(encoder: str, options: dict[str, Any]) -> torch.nn.Module:
    if encoder == "unet":
        # Weights do not depend on the padding.
        return unet.build(1, 2, padded=False, **options)
    return encoder_unet.build(1, 2, encoder, options["depth"], 2, options["width"])


@pytest.mark.parametrize(
    ("encoder", "options"), [("unet", UNET), ("resnet18", ENCODER), ("vgg16_bn", ENCODER)]
)
def test_the_encoder_is_handed_over_and_nothing_else(encoder: str, options: dict[str, Any]) -> None:
    state, network = state_of(encoder, options), network_of(encoder, options)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    taken = hand_over(state, network)
    place = "" if encoder == "unet" else "encoder."
    names = {key.removeprefix("encoder.") for key in state if key.startswith("encoder.")}
    assert {key.removeprefix(place) for key in taken} == names
    assert any("running_mean" in key for key in taken)
    for key, value in network.state_dict().items():
        expected = state[f"encoder.{key.removeprefix(place)}"] if key in taken else before[key]
        assert torch.equal(value, expected), key


@pytest.mark.parametrize(("own", "given"), [(2, 3), (3, 2)])
def test_depths_may_differ(own: int, given: int) -> None:
    state = state_of("unet", {**UNET, "depth": given})
    taken = hand_over(state, network_of("unet", {**UNET, "depth": own}))
    assert {key.split(".")[1] for key in taken} == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("given", "own", "named"),
    [
        (("unet", UNET), ("unet", {**UNET, "width": 6}), r"down\.0.*\(4,\) given, \(6,\)"),
        (("unet", UNET), ("unet", {**UNET, "norm": "none"}), r"branch\.1\.bias: \(4,\) given, n"),
        (("resnet18", ENCODER), ("resnet34", ENCODER), r"layer1\.2.*none given"),
        (("resnet18", ENCODER), ("unet", UNET), r"bn1\.bias.* none expected"),
    ],
)
def test_another_encoder_is_refused(given: Any, own: Any, named: str) -> None:
    network = network_of(*own)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ModelError, match=named):
        hand_over(state_of(*given), network)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_state_without_an_encoder_is_refused() -> None:
    network = network_of("unet", UNET)
    with pytest.raises(ModelError, match="there is none"):
        hand_over(network.state_dict(), network)


def test_heads_and_channels() -> None:
    network = autoencoder.build(2, encoder_options=ENCODER, head="sigmoid")
    result = network(torch.randn(1, 2, 8, 12))
    assert result.shape == (1, 2, 8, 12)
    assert 0 < result.min() < result.max() < 1
    with pytest.raises(ModelError, match="'tanh'"):
        autoencoder.build(head="tanh")
