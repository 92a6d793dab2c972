from __future__ import annotations

from typing import Any

import pytest
import torch
from references import recorded, reference_network

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.attention_generator import build

NAME = "attentiongan_tiny_v2"
NOISE = 4.8e-6
"""What float32 and float64 runs of the published implementation differ by."""


@pytest.mark.parametrize(("version", "count"), [("v2", 11_822_949), ("geo", 11_832_360)])
def test_published_sizes(version: str, count: int) -> None:
    with torch.device("meta"):
        network = build(version=version)
    assert sum(p.numel() for p in network.parameters()) == count


def test_a_published_checkpoint_gives_the_published_numbers() -> None:
    arrays = recorded(NAME)
    forward, backward = (
        reference_network(f"{NAME}/latest_net_{g}.pth", "attention_generator", ngf=8).eval()
        for g in ("G_A", "G_B")
    )
    with torch.inference_mode():
        known = forward.detailed(arrays["x"])
        found = {
            "fake": known["image"],
            "attention": known["attention"],
            "content": known["content"][:1],
            "fake_rect": forward(arrays["x_rect"]),
            "G_B_fake": backward(arrays["x"]),
        }
    for key, value in found.items():
        torch.testing.assert_close(value, arrays[key], rtol=0, atol=10 * NOISE, msg=key)


@pytest.mark.parametrize(
    ("version", "masks", "contents"), [("v2", 10, 27), ("geo", 10, 30), ("v1", 1, 3)]
)
def test_extras_are_what_is_mixed(version: str, masks: int, contents: int) -> None:
    torch.manual_seed(0)
    network = build(ngf=2, n_blocks=1, version=version).eval()
    assert dict(network.extras) == {"attention": masks, "content": contents}
    x = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        known = network.detailed(x)
        torch.testing.assert_close(network(x), known["image"], rtol=0, atol=0)
    attention, content = known["attention"], known["content"]
    assert attention.shape[1:] == (masks, 16, 24)
    layers = content.reshape(1, -1, 3, 16, 24)
    if version != "geo":
        layers = torch.cat([layers, x[:, None]], dim=1)
    if version == "v1":
        attention = torch.cat([attention, 1 - attention], dim=1)
    mixed = (attention[:, :, None] * layers).sum(1)
    torch.testing.assert_close(known["image"], mixed)


def test_version_1_doubles_by_shuffling_pixels_and_ends_without_tanh() -> None:
    with torch.device("meta"):
        state = build(version="v1", n_blocks=6).state_dict()
        without = build(version="v1", n_blocks=6, bias=False).state_dict()
    kernels = {key: tuple(value.shape) for key, value in state.items() if value.dim() == 4}
    assert {key: shape for key, shape in kernels.items() if "conv_block" not in key} == {
        "model.1.weight": (64, 3, 7, 7),
        "model.4.weight": (128, 64, 3, 3),
        "model.7.weight": (256, 128, 3, 3),
        "model.17.weight": (128, 256, 3, 3),
        "model.20.weight": (512, 128, 1, 1),
        "model.25.weight": (64, 128, 3, 3),
        "model.28.weight": (256, 64, 1, 1),
        "model.33.weight": (4, 64, 7, 7),
    }
    assert {"model.18.running_mean", "model.22.weight", "model.30.bias"} <= state.keys()
    assert {"model.1.bias", "model.15.conv_block.5.bias", "model.20.bias"} <= state.keys()
    assert len(state) - len(without) == len(kernels) - 1
    network = build(ngf=2, n_blocks=1, version="v1").eval()
    with torch.no_grad():
        network.model[-1].bias[1:] += 10
        assert network.detailed(torch.zeros(1, 3, 16, 16))["content"].min() > 5


@pytest.mark.parametrize(
    "options",
    [
        {"version": "v3"}, {"ngf": 0}, {"in_channels": 1}, {"in_channels": 1, "version": "v1"},
    ],
)  # fmt: skip
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        build(**options)


def test_without_the_input_as_background_channels_may_differ() -> None:
    network = build(1, 3, ngf=2, n_blocks=0, version="geo")
    assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 3, 8, 8)
