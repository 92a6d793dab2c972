from __future__ import annotations

import pytest
import torch

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.self_attention import (
    SelfAttention,
    heads_of,
    self_attention,
)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_a_weighted_mean_over_all_pixels(heads: int) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 8, 3, 5, dtype=torch.float64)
    result = self_attention(query, key, value, heads)
    size = 8 // heads
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        q, k, v = (part[:, own].flatten(2) for part in (query, key, value))
        weights = torch.softmax(torch.einsum("bci,bcj->bij", q, k) / size**0.5, -1)
        expected = torch.einsum("bij,bcj->bci", weights, v)
        torch.testing.assert_close(result[:, own].flatten(2), expected, rtol=1e-12, atol=1e-12)


def test_pixels_may_come_in_any_order() -> None:
    torch.manual_seed(0)
    layer, x = SelfAttention(8, heads=2, groups=4).double(), torch.randn(1, 8, 4, 6).double()
    order = torch.randperm(24)
    mixed = layer(x.flatten(2)[:, :, order].unflatten(2, (4, 6)))
    torch.testing.assert_close(mixed.flatten(2), layer(x).flatten(2)[:, :, order])


def test_heads_divide_the_channels() -> None:
    assert heads_of(128, 4, -1) == 4
    assert heads_of(128, 4, 64) == 2
    for heads, size in ((3, -1), (4, 48), (4, 256), (0, -1), (4, 0)):
        with pytest.raises(ModelError, match="128 channels cannot be divided"):
            heads_of(128, heads, size)
