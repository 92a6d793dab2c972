from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_tincture.models.layers.spade import SpadeGroupNorm


@pytest.mark.parametrize("size", [1, 3])
def test_scale_and_shift_follow_the_label_map(size: int) -> None:
    torch.manual_seed(0)
    layer, x = SpadeGroupNorm(8, 3, hidden=5, groups=2, size=size), torch.randn(2, 8, 6, 4)
    label = torch.rand(2, 3, 6, 4)
    groups = x.reshape(2, 2, 4, 6, 4)
    mean = groups.mean((2, 3, 4), keepdim=True)
    spread = (groups.var((2, 3, 4), correction=0, keepdim=True) + 1e-5).sqrt()
    normed = ((groups - mean) / spread).reshape(x.shape)
    features = layer.mlp_shared(label)
    expected = normed * (1 + layer.mlp_gamma(features)) + layer.mlp_beta(features)
    torch.testing.assert_close(layer(x, label), expected)


def test_larger_label_maps_are_read_at_the_nearest() -> None:
    torch.manual_seed(0)
    layer, x = SpadeGroupNorm(8, 3, hidden=5, groups=2), torch.randn(1, 8, 6, 4)
    label = torch.rand(1, 3, 6, 4)
    large = functional.interpolate(label, scale_factor=4, mode="nearest")
    torch.testing.assert_close(layer(x, large), layer(x, label), rtol=0, atol=0)
