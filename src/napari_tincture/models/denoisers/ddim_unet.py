"""DDPM's and DDIM's U-Net: denoises images that are told nothing of what they should show.

Keys of the state dict are those of the published implementation, whose checkpoints load as they
are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.noise_embedding import ddpm_embedding
from napari_tincture.models.layers.resampling import Upsample
from napari_tincture.models.layers.self_attention import self_attention

GROUPS = 32
EPSILON = 1e-6
"""Of all norms."""

SMALL = {
    "out_channels": 3, "ch": 32, "ch_mult": (1, 2), "num_res_blocks": 1, "attn_resolutions": (8,),
    "image_size": 16,
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 0,
    out_channels: int = 3,
    ch: int = 128,
    ch_mult: Sequence[int] = (1, 2, 2, 2),
    num_res_blocks: int = 2,
    attn_resolutions: Sequence[int] = (16,),
    image_size: int = 32,
    dropout: float = 0.1,
    resamp_with_conv: bool = True,
) -> DDIMUnet:
    """Build the denoiser; the defaults are those of the published model of CIFAR-10.

    Sides are multiples of ``2**(len(ch_mult) - 1)``.

    Parameters
    ----------
    in_channels
        Of the condition: there is none.
    out_channels
        Of the image.
    ch, ch_mult
        Channels of the first level, and how many times as many each level has; multiples of 32.
    attn_resolutions, image_size
        Sides of the maps that attend to themselves in images of `image_size`, in pixels. Images
        of other sides attend at the same levels; the deepest one does always.
    resamp_with_conv
        Convolutions change the resolution, or are part of it; means and copies alone otherwise.

    References
    ----------
    Ho et al., Denoising diffusion probabilistic models, 2020, appendix B; Song et al., Denoising
    diffusion implicit models, 2021, appendix D.1 (35,746,307 parameters for CIFAR-10).
    """
    widths = [ch * times for times in ch_mult]
    if not widths or num_res_blocks < 1 or any(width < 1 or width % GROUPS for width in widths):
        raise ModelError(
            f"Expected num_res_blocks ≥ 1 and channels that are multiples of {GROUPS} at every "
            f"level, got {num_res_blocks} and {widths}; change ch or ch_mult."
        )
    if in_channels:
        raise ModelError(f"A DDIM U-Net takes no condition, got in_channels = {in_channels}.")
    attending = [image_size // 2**level in attn_resolutions for level in range(len(widths))]
    make = Blocks(4 * ch, dropout, resamp_with_conv)
    return DDIMUnet(out_channels, ch, widths, attending, num_res_blocks, make)


class DDIMUnet(nn.Module):
    """From (b, out_channels, y, x) in [-1, 1], noisy, to the noise in it."""

    def __init__(
        self,
        channels: int,
        ch: int,
        widths: Sequence[int],
        attending: Sequence[bool],
        count: int,
        make: Blocks,
    ) -> None:
        super().__init__()
        self.stride, self.ch = 2 ** (len(widths) - 1), ch
        dense = [nn.Linear(ch, make.embedded), nn.Linear(make.embedded, make.embedded)]
        self.temb = nn.ModuleDict({"dense": nn.ModuleList(dense)})
        self.conv_in = nn.Conv2d(channels, ch, 3, padding=1)
        self.down, skips = _encoder(ch, widths, attending, count, make)
        deepest = widths[-1]
        self.mid = nn.ModuleDict(
            {
                "block_1": make.residual(deepest, deepest),
                "attn_1": Attention(deepest),
                "block_2": make.residual(deepest, deepest),
            }
        )
        self.up = _decoder(skips, widths, attending, count, make)
        self.norm_out = _norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Predict the noise.

        Parameters
        ----------
        time
            (b,), the step's index from 0.
        condition
            (b, 0, y, x); nothing is read of it.
        """
        first, second = self.temb["dense"]
        embedded = ddpm_embedding(time, self.ch).to(first.weight.dtype)
        embedded = second(functional.silu(first(embedded)))
        x = self.conv_in(x)
        skips = [x]
        for level in self.down:
            for number, block in enumerate(level["block"]):
                x = _attended(level, number, block(x, embedded))
                skips.append(x)
            if "downsample" in level:
                x = level["downsample"](x)
                skips.append(x)
        x = self.mid["attn_1"](self.mid["block_1"](x, embedded))
        x = self.mid["block_2"](x, embedded)
        for level in reversed(self.up):
            for number, block in enumerate(level["block"]):
                x = _attended(level, number, block(torch.cat([x, skips.pop()], 1), embedded))
            if "upsample" in level:
                x = level["upsample"](x)
        result: Tensor = self.conv_out(functional.silu(self.norm_out(x)))
        return result


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


class ResidualBlock(nn.Module):
    """P x + F(x); the noise is added between the two convolutions of F."""

    def __init__(self, a: int, b: int, embedded: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(a), nn.Conv2d(a, b, 3, padding=1)
        self.temb_proj = nn.Linear(embedded, b)
        self.norm2, self.conv2 = _norm(b), nn.Conv2d(b, b, 3, padding=1)
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
        self.norm = _norm(channels)
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


def _encoder(
    channels: int, widths: Sequence[int], attending: Sequence[bool], count: int, make: Blocks
) -> tuple[nn.ModuleList, list[int]]:
    """Levels, and the channels of all that the decoder takes of them."""
    levels, skips = [], [channels]
    for level, width in enumerate(widths):
        inputs = [channels, *[width] * (count - 1)]
        parts = _level(inputs, width, attending[level], make)
        skips += [width] * count
        if level < len(widths) - 1:
            parts["downsample"] = make.down(width)
            skips.append(width)
        levels.append(parts)
        channels = width
    return nn.ModuleList(levels), skips


def _decoder(
    skips: Sequence[int],
    widths: Sequence[int],
    attending: Sequence[bool],
    count: int,
    make: Blocks,
) -> nn.ModuleList:
    """Levels, the finest first."""
    levels, channels, left = list[nn.Module](), widths[-1], list(skips)
    for level, width in reversed(list(enumerate(widths))):
        inputs = [below + left.pop() for below in (channels, *[width] * count)]
        parts = _level(inputs, width, attending[level], make)
        if level:
            parts["upsample"] = make.up(width)
        levels.insert(0, parts)
        channels = width
    return nn.ModuleList(levels)


def _level(inputs: Sequence[int], width: int, attends: bool, make: Blocks) -> nn.ModuleDict:
    blocks = nn.ModuleList(make.residual(a, width) for a in inputs)
    attention = nn.ModuleList(Attention(width) for _ in inputs if attends)
    return nn.ModuleDict({"block": blocks, "attn": attention})


def _attended(level: nn.ModuleDict, number: int, x: Tensor) -> Tensor:
    attention = level["attn"]
    result: Tensor = attention[number](x) if len(attention) else x
    return result


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=EPSILON)
