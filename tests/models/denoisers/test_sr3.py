from __future__ import annotations

import pytest
import torch
from references import DATA, recorded

from napari_tincture.errors import ModelError
from napari_tincture.models.denoisers.sr3 import SR3, build
from napari_tincture.models.published import read_checkpoint
from napari_tincture.models.weights import fill_network

NAME = "sr3_tiny_sr3"
NOISE = 2.40e-6
"""What float32 and float64 runs of the published implementation differ by."""
OPTIONS = {
    "inner_channel": 16, "channel_multiplier": (1, 2), "attn_res": (16,), "image_size": 32,
    "res_blocks": 1, "norm_groups": 8,
}  # fmt: skip


def published() -> SR3:
    network = build(**OPTIONS).eval()
    state = read_checkpoint(DATA / NAME / "I10_E1_gen.pth")
    prefix = "denoise_fn."
    own = {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}
    fill_network(network, own, NAME)
    return network


def test_published_size() -> None:
    with torch.device("meta"):
        network = build()
    assert sum(p.numel() for p in network.parameters()) == 97_807_491
    assert network.stride == 16


def test_a_published_checkpoint_gives_the_published_numbers() -> None:
    arrays = recorded(NAME)
    with torch.inference_mode():
        result = published()(arrays["x_t"], arrays["cond"][:, 0], arrays["SR"])
    torch.testing.assert_close(result, arrays["unet"], rtol=0, atol=10 * NOISE)


def test_in_float64_it_gives_the_published_numbers_of_float64() -> None:
    arrays = recorded(NAME)
    x, shown = arrays["x_t"].double(), arrays["SR"].double()
    with torch.inference_mode():
        result = published().double()(x, arrays["cond"][:, 0], shown).float()
    # The embedding of the level is float32 in both, and the recording as well.
    torch.testing.assert_close(result, arrays["unet_f64"], rtol=0, atol=1e-6)


def test_groups_that_do_not_divide_the_channels_are_refused() -> None:
    with pytest.raises(ModelError, match=r"norm_groups = 32 .* got 1 and \[16, 32\]"):
        build(**{**OPTIONS, "norm_groups": 32})
