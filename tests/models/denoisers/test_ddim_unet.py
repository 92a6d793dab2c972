from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.denoisers.ddim_unet import build
from napari_tincture.models.layers.ddim_blocks import PaddedDownsample


def test_published_size_and_names() -> None:
    with torch.device("meta"):
        network = build()
    assert sum(p.numel() for p in network.parameters()) == 35_746_307
    assert network.stride == 8
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    for key, shape in {
        "temb.dense.1.weight": (512, 512),
        "conv_in.weight": (128, 3, 3, 3),
        "down.1.block.0.nin_shortcut.weight": (256, 128, 1, 1),
        "down.1.attn.1.proj_out.weight": (256, 256, 1, 1),
        "down.2.downsample.conv.weight": (256, 256, 3, 3),
        "mid.block_2.temb_proj.weight": (256, 512),
        "mid.attn_1.q.bias": (256,),
        "up.0.block.2.conv1.weight": (128, 256, 3, 3),
        "up.3.upsample.conv.weight": (256, 256, 3, 3),
        "up.1.attn.2.norm.weight": (256,),
        "norm_out.weight": (128,),
        "conv_out.bias": (3,),
    }.items():
        assert shapes[key] == shape, key


def test_norms_add_a_millionth() -> None:
    norms = [m for m in build(ch=32).modules() if isinstance(m, nn.GroupNorm)]
    assert len(norms) > 10
    assert {(norm.eps, norm.num_groups) for norm in norms} == {(1e-6, 32)}


def test_zeros_lie_right_and_below_only() -> None:
    torch.manual_seed(0)
    layer, x = PaddedDownsample(2), torch.randn(1, 2, 6, 8)
    wide = torch.zeros(1, 2, 7, 9)
    wide[:, :, :6, :8] = x
    patches = functional.unfold(wide, 3, stride=2).unflatten(1, (2, 9))
    expected = torch.einsum("oik,bikp->bop", layer.conv.weight.flatten(2), patches)
    expected = expected.unflatten(2, (3, 4)) + layer.conv.bias[:, None, None]
    torch.testing.assert_close(layer(x), expected)


def test_resolutions_change_without_convolutions_if_asked() -> None:
    plain = build(ch=32, ch_mult=(1, 1), num_res_blocks=1, resamp_with_conv=False)
    assert not [key for key in plain.state_dict() if "sample" in key]
    assert plain(torch.randn(1, 3, 4, 6), torch.ones(1), torch.rand(1, 0, 4, 6)).shape[2:] == (4, 6)


def test_conditions_and_odd_widths_are_refused() -> None:
    with pytest.raises(ModelError, match="takes no condition, got in_channels = 2"):
        build(in_channels=2)
    with pytest.raises(ModelError, match=r"multiples of 32 .* \[48, "):
        build(ch=48)
