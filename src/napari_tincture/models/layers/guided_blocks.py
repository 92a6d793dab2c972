"""What guided diffusion's U-Nets are made of: residual blocks that hear of the noise, attention.

Keys of the state dicts are those of the published implementations.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.models.layers.resampling import Change, Upsample, resized
from napari_tincture.models.layers.self_attention import heads_of, self_attention
from napari_tincture.models.layers.spade import SpadeGroupNorm
from napari_tincture.models.layers.together import Told
from napari_tincture.models.layers.zeroed import zeroed

GROUPS = 32


@dataclass(frozen=True, slots=True)
class Blocks:
    """Makes the blocks of one network, all with the same options.

    Attributes
    ----------
    embedded
        Length of the vector that says how much noise there is.
    labels
        Channels of the label map.
    scales
        The noise scales and shifts the second norm of a block; it is added before it otherwise.
    residual_changes
        Residual blocks change the resolution; a convolution does otherwise.
    new_order
        Channels of queries, keys and values stand before those of heads.
    head_channels
        Channels of each head of the attention; -1: the number of heads counts.
    """

    embedded: int
    labels: int
    scales: bool
    residual_changes: bool
    new_order: bool
    head_channels: int
    dropout: float

    def residual(self, a: int, b: int, *, decodes: bool, change: Change = "") -> ResidualBlock:
        """A block of the encoder, or one that sees the label map."""
        if decodes:
            return SpadeBlock(a, b, self, change)
        return PlainBlock(a, b, self, change)

    def change(self, channels: int, change: Change, *, decodes: bool) -> nn.Module:
        """What doubles or halves the sides."""
        if self.residual_changes:
            return self.residual(channels, channels, decodes=decodes, change=change)
        return Upsample(channels) if change == "up" else StridedDownsample(channels)

    def attention(self, channels: int, heads: int) -> Attention:
        """All pixels look at each other."""
        count = heads_of(channels, heads, self.head_channels)
        return Attention(channels, count, self.new_order)


class ResidualBlock(Told):
    """x + F(x), F of two norms and convolutions; the noise enters at the second norm."""

    in_layers: nn.Sequential
    out_layers: nn.Sequential

    def __init__(self, a: int, b: int, options: Blocks, change: Change) -> None:
        super().__init__()
        self.scales, self.change = options.scales, change
        noise = nn.Linear(options.embedded, 2 * b if self.scales else b)
        self.emb_layers = nn.Sequential(nn.SiLU(), noise)
        self.skip_connection = nn.Identity() if a == b else nn.Conv2d(a, b, 1)

    def first_norm(self, x: Tensor, label: Tensor) -> Tensor:
        """Normalise what comes in."""
        raise NotImplementedError

    def second_norm(self, x: Tensor, label: Tensor) -> Tensor:
        """Normalise what the first convolution gives."""
        raise NotImplementedError

    def forward(self, x: Tensor, embedded: Tensor, label: Tensor) -> Tensor:
        """From (b, a, y, x) to (b, b, y', x')."""
        change = functional.silu(self.first_norm(x, label))
        change, x = resized(change, self.change), resized(x, self.change)
        change = self.in_layers[-1](change)
        noise = self.emb_layers(embedded)[:, :, None, None]
        if self.scales:
            scale, shift = noise.chunk(2, 1)
            change = self.second_norm(change, label) * (1 + scale) + shift
        else:
            change = self.second_norm(change + noise, label)
        # Of the encoder's, the first layer is the norm.
        change = self.out_layers[-3:](change)
        result: Tensor = self.skip_connection(x) + change
        return result


class PlainBlock(ResidualBlock):
    """A residual block that is told nothing of the label map."""

    def __init__(self, a: int, b: int, options: Blocks, change: Change) -> None:
        super().__init__(a, b, options, change)
        self.in_layers = nn.Sequential(nn.GroupNorm(GROUPS, a), *_first(a, b))
        self.out_layers = nn.Sequential(nn.GroupNorm(GROUPS, b), *_second(b, options.dropout))

    def first_norm(self, x: Tensor, label: Tensor) -> Tensor:
        """Group norm."""
        normed: Tensor = self.in_layers[0](x)
        return normed

    def second_norm(self, x: Tensor, label: Tensor) -> Tensor:
        """Group norm."""
        normed: Tensor = self.out_layers[0](x)
        return normed


class SpadeBlock(ResidualBlock):
    """A residual block whose norms are scaled and shifted by the label map."""

    def __init__(self, a: int, b: int, options: Blocks, change: Change) -> None:
        super().__init__(a, b, options, change)
        self.in_norm = SpadeGroupNorm(a, options.labels)
        self.in_layers = nn.Sequential(*_first(a, b))
        self.out_norm = SpadeGroupNorm(b, options.labels)
        self.out_layers = nn.Sequential(*_second(b, options.dropout))

    def first_norm(self, x: Tensor, label: Tensor) -> Tensor:
        """SPADE group norm."""
        normed: Tensor = self.in_norm(x, label)
        return normed

    def second_norm(self, x: Tensor, label: Tensor) -> Tensor:
        """SPADE group norm."""
        normed: Tensor = self.out_norm(x, label)
        return normed


class Attention(nn.Module):
    """x + P attention(Q x, K x, V x) of the normalised map, with 1×1 convolutions of a line.

    Parameters
    ----------
    new_order
        Rows of the first convolution are of queries, keys, values, each of all heads; otherwise of
        heads, each with its queries, keys and values.
    """

    def __init__(self, channels: int, heads: int, new_order: bool) -> None:
        super().__init__()
        self.heads, self.new_order = heads, new_order
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """From (b, c, y, x) to the same."""
        rows = self.qkv(self.norm(x).flatten(2))
        if not self.new_order:
            rows = rows.unflatten(1, (self.heads, 3, -1)).transpose(1, 2).flatten(1, 3)
        query, key, value = (part.unflatten(2, x.shape[2:]) for part in rows.chunk(3, 1))
        mixed = self_attention(query, key, value, self.heads)
        result: Tensor = x + self.proj_out(mixed.flatten(2)).reshape(x.shape)
        return result


class StridedDownsample(nn.Module):
    """A 3×3 convolution at every second pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """From (b, c, 2y, 2x) to (b, c, y, x)."""
        result: Tensor = self.op(x)
        return result


def _first(a: int, b: int) -> list[nn.Module]:
    return [nn.SiLU(), nn.Conv2d(a, b, 3, padding=1)]


def _second(channels: int, dropout: float) -> list[nn.Module]:
    last = zeroed(nn.Conv2d(channels, channels, 3, padding=1))
    return [nn.SiLU(), nn.Dropout(dropout), last]
