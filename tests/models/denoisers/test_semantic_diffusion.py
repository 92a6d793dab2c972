from __future__ import annotations

import pytest
import torch
from references import recorded, reference_network

from napari_tincture.errors import ModelError
from napari_tincture.models.denoisers.semantic_diffusion import build

NAME = "sdm_tiny_learnsigma"
FILE = f"{NAME}/ema_0.9999_000010.pt"
NOISE = 2.25e-6
"""What float32 and float64 runs of the published implementation differ by."""
OPTIONS = {
    "in_channels": 5, "num_channels": 32, "channel_mult": (1, 1), "num_res_blocks": 1,
    "image_size": 32, "attention_resolutions": (16,), "num_head_channels": 16,
}  # fmt: skip


def test_published_size() -> None:
    with torch.device("meta"):
        network = build()
    assert sum(p.numel() for p in network.parameters()) == 660_608_518
    assert network.stride == 32


def test_a_published_checkpoint_gives_the_published_numbers() -> None:
    network = reference_network(FILE, "semantic_diffusion", "denoisers", **OPTIONS).eval()
    arrays = recorded(NAME)
    x, time, label = arrays["x"], arrays["t"].float(), arrays["y"]
    with torch.inference_mode():
        result = network(x, time, label)
        empty = network(x, time, torch.zeros_like(label))
    torch.testing.assert_close(result, arrays["unet"], rtol=0, atol=10 * NOISE)
    torch.testing.assert_close(empty, arrays["unet_uncond"], rtol=0, atol=10 * NOISE)


def test_in_float64_it_gives_the_published_numbers_of_float64() -> None:
    network = reference_network(FILE, "semantic_diffusion", "denoisers", **OPTIONS).eval().double()
    arrays = recorded(NAME)
    x, label = arrays["x"].double(), arrays["y"].double()
    with torch.inference_mode():
        result = network(x, arrays["t"].float(), label).float()
    # The embedding of the step is float32 in both, and the recording as well.
    torch.testing.assert_close(result, arrays["unet_f64"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("updown", [False, True])
@pytest.mark.parametrize("scales", [False, True])
@pytest.mark.parametrize("new_order", [False, True])
def test_options_make_networks_of_their_own(updown: bool, scales: bool, new_order: bool) -> None:
    torch.manual_seed(0)
    options = {
        "channel_mult": (1, 2, 2), "resblock_updown": updown, "use_scale_shift_norm": scales,
        "use_new_attention_order": new_order,
    }  # fmt: skip
    network = build(**{**OPTIONS, **options}).eval()
    keys = network.state_dict().keys()
    assert ("input_blocks.2.0.op.weight" in keys) != updown
    assert ("output_blocks.1.1.conv.weight" in keys) != updown
    width = network.state_dict()["middle_block.0.emb_layers.1.weight"].shape[0]
    assert width == (128 if scales else 64)
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    result = network(torch.randn(1, 3, 8, 12), torch.ones(1), torch.rand(1, 5, 8, 12))
    assert result.shape == (1, 6, 8, 12)


def test_orders_of_attention_are_permutations_of_each_other() -> None:
    torch.manual_seed(0)
    old, new = (
        build(**OPTIONS, use_new_attention_order=order).eval().double() for order in (False, True)
    )
    for parameter in old.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    state = old.state_dict()
    for key, value in state.items():
        if ".qkv." in key:
            # (heads, 3, channels of a head) to (3, heads, channels of a head).
            state[key] = value.unflatten(0, (2, 3, -1)).transpose(0, 1).flatten(0, 2)
    new.load_state_dict(state)
    given = torch.randn(1, 3, 8, 8).double(), torch.ones(1), torch.rand(1, 5, 8, 8).double()
    with torch.inference_mode():
        torch.testing.assert_close(new(*given), old(*given))


def test_widths_that_norms_cannot_divide_are_refused() -> None:
    with pytest.raises(ModelError, match=r"multiples of 32 .* got 1 and \[48, 48\]"):
        build(**{**OPTIONS, "num_channels": 48})
    with pytest.raises(ModelError, match="num_head_channels = 24"):
        build(**{**OPTIONS, "num_head_channels": 24})
