"""Residual blocks of our own denoisers: SR3's plain ones or BigGAN's, SPADE norms or none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.models.layers.resampling import Change, Downsample, Upsample, resized
from napari_tincture.models.layers.self_attention import SelfAttention, heads_of
from napari_tincture.models.layers.spade import SpadeGroupNorm
from napari_tincture.models.layers.together import Told
from napari_tincture.models.layers.zeroed import zeroed

BlockKind = Literal["plain", "biggan"]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Makes the blocks of one network, all with the same options.

    Attributes
    ----------
    kind
        "plain": convolutions change the resolution, and sums are as they are. "biggan": residual
        blocks change it, and sums are divided by √2, so that their variance does not grow.
    embedded
        Length of the vector that says how much noise there is, and which style is wanted.
    labels
        Channels of the label map.
    groups
        Of all norms, unless a norm's channels are no multiple of it; then fewer.
    """

    kind: BlockKind
    embedded: int
    labels: int
    spade_width: int
    spade_kernel: int
    groups: int
    head_channels: int
    dropout: float

    def residual(self, a: int, b: int, *, spade: bool = False, change: Change = "") -> nn.Module:
        """A residual block that sees the label map, or one that does not."""
        return ResidualBlock(a, b, self, spade, change)

    def down(self, channels: int) -> nn.Module:
        """What halves the sides."""
        if self.kind == "biggan":
            return self.residual(channels, channels, change="down")
        return Downsample(channels)

    def up(self, a: int, b: int) -> tuple[nn.Module, int]:
        """What doubles the sides, and the channels that it gives: `b` at the least cost."""
        if self.kind == "biggan":
            return self.residual(a, b, change="up"), b
        return Upsample(a), a

    def attention(self, channels: int) -> SelfAttention:
        """All pixels look at each other."""
        heads = heads_of(channels, 1, min(self.head_channels, channels))
        attention = SelfAttention(channels, heads, self.groups_of(channels))
        zeroed(attention.out)
        return attention

    def norm(self, channels: int, spade: bool) -> nn.Module:
        """Group norm, scaled and shifted by the label map or not."""
        groups = self.groups_of(channels)
        if not spade:
            return nn.GroupNorm(groups, channels)
        return SpadeGroupNorm(channels, self.labels, self.spade_width, groups, self.spade_kernel)

    def groups_of(self, channels: int) -> int:
        """Groups of a norm of so many channels."""
        return math.gcd(self.groups, channels)


class ResidualBlock(Told):
    """P x + F(x), F of two norms and convolutions; the noise is added between them.

    References
    ----------
    Brock et al., BigGAN, 2019, figure 15; sums as in Saharia et al., SR3, 2021, section 2.4, and
    Song et al., Score-based generative modeling, 2021, appendix H.
    """

    def __init__(self, a: int, b: int, options: Blocks, spade: bool, change: Change) -> None:
        super().__init__()
        self.change = change
        self.scale = math.sqrt(0.5) if options.kind == "biggan" else 1.0
        self.norm1 = options.norm(a, spade)
        self.conv1 = nn.Conv2d(a, b, 3, padding=1)
        self.embed = nn.Linear(options.embedded, b)
        self.norm2 = options.norm(b, spade)
        self.dropout = nn.Dropout(options.dropout)
        self.conv2 = zeroed(nn.Conv2d(b, b, 3, padding=1))
        self.skip = nn.Identity() if a == b else nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor, embedded: Tensor, label: Tensor) -> Tensor:
        """From (b, a, y, x) to (b, b, y', x')."""
        change = functional.silu(_normed(self.norm1, x, label))
        change = self.conv1(resized(change, self.change)) + self.embed(embedded)[:, :, None, None]
        change = functional.silu(_normed(self.norm2, change, label))
        change = self.conv2(self.dropout(change))
        # Before the sides are doubled, a convolution of single pixels costs a quarter.
        result: Tensor = (resized(self.skip(x), self.change) + change) * self.scale
        return result


class EncoderLevel(nn.Module):
    """Blocks of one level, the first of which may halve the sides."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, embedded: Tensor, label: Tensor) -> list[Tensor]:
        """What each block gives, the last one for the next level."""
        maps = [x]
        for block in self.blocks:
            maps.append(block(maps[-1], embedded, label))
        return maps[1:]


class DecoderLevel(nn.Module):
    """Blocks of one level, and what doubles the sides behind them."""

    def __init__(self, blocks: list[nn.Module], up: nn.Module) -> None:
        super().__init__()
        self.blocks, self.up = nn.ModuleList(blocks), up

    def forward(self, x: Tensor, embedded: Tensor, label: Tensor, skips: list[Tensor]) -> Tensor:
        """Join what comes from below with what the encoder gave, which is taken from the list."""
        for block in self.blocks:
            x = block(torch.cat([x, skips.pop()], 1), embedded, label)
        result: Tensor = self.up(x, embedded, label)
        return result


def _normed(norm: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    result: Tensor = norm(x, label) if isinstance(norm, SpadeGroupNorm) else norm(x)
    return result
