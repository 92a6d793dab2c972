"""Every pixel looks at every other one."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError


def self_attention(query: Tensor, key: Tensor, value: Tensor, heads: int = 1) -> Tensor:
    """Scaled dot-product attention over all pixels.

    Parameters
    ----------
    query, key, value
        (b, c, y, x) each; `heads` groups of consecutive channels attend apart.

    Returns
    -------
    Tensor
        (b, c, y, x).

    References
    ----------
    Vaswani et al., Attention is all you need, 2017, equation 1.
    """
    q, k, v = (_by_head(part, heads) for part in (query, key, value))
    mixed = functional.scaled_dot_product_attention(q, k, v)
    return mixed.transpose(2, 3).reshape(value.shape)


def heads_of(channels: int, heads: int, head_channels: int) -> int:
    """How many heads there are, of a number of channels each unless that is -1.

    Raises
    ------
    ModelError
        If the channels cannot be divided.
    """
    count = heads if head_channels == -1 else channels // max(head_channels, 1)
    if count < 1 or channels % count or (head_channels != -1 and count * head_channels != channels):
        raise ModelError(
            f"{channels} channels cannot be divided among heads of num_head_channels = "
            f"{head_channels} or among num_heads = {heads}; choose divisors of the channels."
        )
    return count


class SelfAttention(nn.Module):
    """x + P attention(Q x, K x, V x) of the normalised map, with one convolution for Q, K and V.

    Parameters
    ----------
    groups
        Of the group norm.
    bias
        Of the convolution for Q, K and V.
    """

    def __init__(self, channels: int, heads: int = 1, groups: int = 32, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """From (b, c, y, x) to the same."""
        query, key, value = self.qkv(self.norm(x)).chunk(3, 1)
        result: Tensor = x + self.out(self_attention(query, key, value, self.heads))
        return result


def _by_head(part: Tensor, heads: int) -> Tensor:
    """(b, heads · c, y, x) as (b, heads, y · x, c)."""
    return part.reshape(part.shape[0], heads, part.shape[1] // heads, -1).transpose(2, 3)
