"""What DDPM's and DDIM's U-Nets are made of; keys of the state dicts are the published ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.models.layers.noise_embedding import ddpm_embedding
from napari_tincture.models.layers.resampling import Upsample
from napari_tincture.models.layers.self_attention import self_attention

GROUPS = 32
EPSILON = 1e-6
"""Of all norms."""


class Blocks:
    """Makes blocks of one network, all with the same options.

    Attributes
    ----------
    embedded
        Length of the vector that says how much noise there is.
    """

    def __init__(self, embedded: int, dropout: float, convolved: bool) -> None:
        self.embedded, self.dropout, self.convolved = embedded, dropout, convolved

    def residual(self, a: int, b: int) -> ResidualBlock:
        """A residual block."""
        return ResidualBlock(a, b, self.embedded, self.dropout)

    def down(self, channels: int) -> nn.Module:
        """What halves the sides."""
        return PaddedDownsample(channels) if self.convolved else nn.AvgPool2d(2)

    def up(self, channels: int) -> nn.Module:
        """What doubles the sides."""
        return Upsample(channels) if self.convolved else nn.Upsample(scale_factor=2)


class Noise(nn.Module):
    """From the step's index (b,) to a vector (b, embedded)."""

    def __init__(self, ch: int, embedded: int) -> None:
        super().__init__()
        self.ch = ch
        self.dense = nn.ModuleList([nn.Linear(ch, embedded), nn.Linear(embedded, embedded)])

    def forward(self, time: Tensor) -> Tensor:
        """Embed indices."""
        first, second = self.dense
        embedded = ddpm_embedding(time, self.ch).to(next(self.parameters()).dtype)
        result: Tensor = second(functional.silu(first(embedded)))
        return result


class Level(nn.Module):
    """Residual blocks of one resolution, each with attention behind it or not."""

    def __init__(self, inputs: Sequence[int], width: int, attends: bool, make: Blocks) -> None:
        super().__init__()
        self.block = nn.ModuleList(make.residual(a, width) for a in inputs)
        self.attn = nn.ModuleList(Attention(width) for _ in inputs if attends)

    def run(self, number: int, x: Tensor, embedded: Tensor) -> Tensor:
        """One block, and its attention."""
        result: Tensor = self.block[number](x, embedded)
        return self.attn[number](result) if len(self.attn) else result


class DownLevel(Level):
    """A level of the encoder.

    Parameters
    ----------
    down
        Whether the sides are halved behind it.
    """

    def __init__(
        self, inputs: Sequence[int], width: int, attends: bool, make: Blocks, down: bool
    ) -> None:
        super().__init__(inputs, width, attends, make)
        self.downsample = make.down(width) if down else None

    def forward(self, x: Tensor, embedded: Tensor) -> list[Tensor]:
        """All maps that the decoder takes, the last one for the next level."""
        maps = []
        for number in range(len(self.block)):
            x = self.run(number, x, embedded)
            maps.append(x)
        return maps if self.downsample is None else [*maps, self.downsample(x)]


class UpLevel(Level):
    """A level of the decoder.

    Parameters
    ----------
    up
        Whether the sides are doubled behind it.
    """

    def __init__(
        self, inputs: Sequence[int], width: int, attends: bool, make: Blocks, up: bool
    ) -> None:
        super().__init__(inputs, width, attends, make)
        self.upsample = make.up(width) if up else None

    def forward(self, x: Tensor, embedded: Tensor, skips: list[Tensor]) -> Tensor:
        """Join what comes from below with what the encoder gave, which is taken from the list."""
        for number in range(len(self.block)):
            x = self.run(number, torch.cat([x, skips.pop()], 1), embedded)
        if self.upsample is not None:
            x = self.upsample(x)
        return x


class Middle(nn.Module):
    """Two residual blocks, and attention between them."""

    def __init__(self, channels: int, make: Blocks) -> None:
        super().__init__()
        self.block_1 = make.residual(channels, channels)
        self.attn_1 = Attention(channels)
        self.block_2 = make.residual(channels, channels)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """From (b, c, y, x) to the same."""
        result: Tensor = self.block_2(self.attn_1(self.block_1(x, embedded)), embedded)
        return result


class ResidualBlock(nn.Module):
    """P x + F(x); the noise is added between the two convolutions of F."""

    def __init__(self, a: int, b: int, embedded: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(a), nn.Conv2d(a, b, 3, padding=1)
        self.temb_proj = nn.Linear(embedded, b)
        self.norm2, self.conv2 = norm(b), nn.Conv2d(b, b, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.nin_shortcut = nn.Identity() if a == b else nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """From (b, a, y, x) to (b, b, y, x)."""
        change = self.conv1(functional.silu(self.norm1(x)))
        change = change + self.temb_proj(functional.silu(embedded))[:, :, None, None]
        change = self.conv2(self.dropout(functional.silu(self.norm2(change))))
        result: Tensor = self.nin_shortcut(x) + change
        return result


class Attention(nn.Module):
    """x + P attention(Q x, K x, V x) of the normalised map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """From (b, c, y, x) to the same."""
        normed = self.norm(x)
        mixed = self_attention(self.q(normed), self.k(normed), self.v(normed))
        result: Tensor = x + self.proj_out(mixed)
        return result


class PaddedDownsample(nn.Module):
    """A 3×3 convolution at every second pixel, beginning with the first: zeros right and below."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """From (b, c, 2y, 2x) to (b, c, y, x)."""
        result: Tensor = self.conv(functional.pad(x, (0, 1, 0, 1)))
        return result


def norm(channels: int) -> nn.GroupNorm:
    """The norm before each activation."""
    return nn.GroupNorm(GROUPS, channels, eps=EPSILON)
