"""SR3's U-Net: denoises an image of a smaller one, which was enlarged by interpolation.

Keys of the state dict are those of the published implementation, without ``denoise_fn.``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.noise_embedding import level_embedding
from napari_tincture.models.layers.resampling import Downsample, Upsample
from napari_tincture.models.layers.self_attention import SelfAttention

SMALL = {
    "in_channels": 3, "out_channels": 3, "inner_channel": 8, "channel_multiplier": [1, 2],
    "attn_res": [8], "image_size": 16, "res_blocks": 1, "norm_groups": 4, "dropout": 0.1,
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 3,
    inner_channel: int = 64,
    channel_multiplier: Sequence[int] = (1, 2, 4, 8, 8),
    attn_res: Sequence[int] = (16,),
    image_size: int = 128,
    res_blocks: int = 2,
    norm_groups: int = 32,
    dropout: float = 0.2,
) -> SR3:
    """Build the denoiser; the defaults are those of the published model from 16 to 128 pixels.

    Sides are multiples of ``2**(len(channel_multiplier) - 1)``.

    Parameters
    ----------
    in_channels, out_channels
        Of the enlarged image, and of the one that is denoised.
    inner_channel, channel_multiplier
        Channels of the first level, and how many times as many each level has; multiples of
        `norm_groups`.
    attn_res, image_size
        Sides of the maps that attend to themselves in images of `image_size`, in pixels. Images
        of other sides attend at the same levels; the deepest one does always.

    References
    ----------
    Saharia et al., Image super-resolution via iterative refinement, 2021, arXiv 2104.07636,
    section 2.4 (97,807,491 parameters for 16 to 128 pixels).
    """
    widths = [inner_channel * times for times in channel_multiplier]
    if not widths or res_blocks < 1 or any(w < 1 or w % norm_groups for w in widths):
        raise ModelError(
            f"Expected res_blocks ≥ 1 and channels that are multiples of norm_groups = "
            f"{norm_groups} at every level, got {res_blocks} and {widths}; change inner_channel, "
            "channel_multiplier or norm_groups."
        )
    attending = [image_size // 2**level in attn_res for level in range(len(widths))]
    make = Blocks(inner_channel, norm_groups, dropout)
    return SR3((in_channels, out_channels), widths, attending, res_blocks, make)


class SR3(nn.Module):
    """From (b, out_channels, y, x) in [-1, 1], noisy, to the noise in it."""

    def __init__(
        self,
        channels: tuple[int, int],
        widths: Sequence[int],
        attending: Sequence[bool],
        count: int,
        make: Blocks,
    ) -> None:
        super().__init__()
        self.stride, self.channels = 2 ** (len(widths) - 1), make.embedded
        self.noise_level_mlp = nn.Sequential(
            nn.Identity(),  # where the published code has the embedding
            nn.Linear(self.channels, 4 * self.channels),
            nn.SiLU(),
            nn.Linear(4 * self.channels, self.channels),
        )
        first = nn.Conv2d(sum(channels), make.embedded, 3, padding=1)
        self.downs, skips = _encoder(first, make.embedded, widths, attending, count, make)
        deepest = widths[-1]
        self.mid = nn.ModuleList(
            [make.block(deepest, deepest, True), make.block(deepest, deepest, False)]
        )
        self.ups = _decoder(skips, widths, attending, count, make)
        self.final_conv = ConvBlock(widths[0], channels[1], make.groups)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Predict the noise.

        Parameters
        ----------
        time
            (b,), the noise level: the square root of the share of the image's variance.
        condition
            (b, in_channels, y, x), the enlarged image in [-1, 1].
        """
        level = level_embedding(time, self.channels)
        level = self.noise_level_mlp(level.to(next(self.parameters()).dtype))
        x = torch.cat([condition, x], 1)
        skips = []
        for layer in self.downs:
            x = layer(x, level) if isinstance(layer, LevelBlock) else layer(x)
            skips.append(x)
        for layer in self.mid:
            x = layer(x, level)
        for layer in self.ups:
            is_block = isinstance(layer, LevelBlock)
            x = layer(torch.cat([x, skips.pop()], 1), level) if is_block else layer(x)
        result: Tensor = self.final_conv(x)
        return result


class Blocks:
    """Makes blocks of one network, all with the same options.

    Attributes
    ----------
    embedded
        Length of the vector that says how much noise there is.
    """

    def __init__(self, embedded: int, groups: int, dropout: float) -> None:
        self.embedded, self.groups, self.dropout = embedded, groups, dropout

    def block(self, a: int, b: int, attends: bool) -> LevelBlock:
        """A residual block, attention behind it or not."""
        return LevelBlock(ResidualBlock(a, b, self), b, self.groups, attends)


class LevelBlock(nn.Module):
    """A residual block, and self-attention if it `attends`."""

    def __init__(self, block: ResidualBlock, channels: int, groups: int, attends: bool) -> None:
        super().__init__()
        self.res_block = block
        attention = SelfAttention(channels, groups=groups, bias=False) if attends else None
        self.attn = attention or nn.Identity()

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """From (b, a, y, x) to (b, b, y, x)."""
        result: Tensor = self.attn(self.res_block(x, level))
        return result


class ResidualBlock(nn.Module):
    """P x + F(x); the noise level is added between the two convolutions of F."""

    def __init__(self, a: int, b: int, options: Blocks) -> None:
        super().__init__()
        self.noise_func = nn.ModuleDict(
            {"noise_func": nn.Sequential(nn.Linear(options.embedded, b))}
        )
        self.block1 = ConvBlock(a, b, options.groups)
        self.block2 = ConvBlock(b, b, options.groups, options.dropout)
        self.res_conv = nn.Identity() if a == b else nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """From (b, a, y, x) to (b, b, y, x)."""
        shift = self.noise_func["noise_func"](level)[:, :, None, None]
        result: Tensor = self.res_conv(x) + self.block2(self.block1(x) + shift)
        return result


class ConvBlock(nn.Module):
    """Group norm, SiLU, dropout and a 3×3 convolution."""

    def __init__(self, a: int, b: int, groups: int, dropout: float = 0.0) -> None:
        super().__init__()
        norm, conv = nn.GroupNorm(groups, a), nn.Conv2d(a, b, 3, padding=1)
        self.block = nn.Sequential(norm, nn.SiLU(), nn.Dropout(dropout), conv)

    def forward(self, x: Tensor) -> Tensor:
        """From (b, a, y, x) to (b, b, y, x)."""
        result: Tensor = self.block(x)
        return result


def _encoder(
    first: nn.Module,
    channels: int,
    widths: Sequence[int],
    attending: Sequence[bool],
    count: int,
    make: Blocks,
) -> tuple[nn.ModuleList, list[int]]:
    """Layers, and the channels that each gives."""
    layers, skips = [first], [channels]
    for level, width in enumerate(widths):
        for _ in range(count):
            layers.append(make.block(channels, width, attending[level]))
            skips.append(width)
            channels = width
        if level < len(widths) - 1:
            layers.append(Downsample(width))
            skips.append(width)
    return nn.ModuleList(layers), skips


def _decoder(
    skips: Sequence[int],
    widths: Sequence[int],
    attending: Sequence[bool],
    count: int,
    make: Blocks,
) -> nn.ModuleList:
    layers, channels, left = list[nn.Module](), widths[-1], list(skips)
    for level, width in reversed(list(enumerate(widths))):
        for _ in range(count + 1):
            layers.append(make.block(channels + left.pop(), width, attending[level]))
            channels = width
        if level:
            layers.append(Upsample(width))
    return nn.ModuleList(layers)
