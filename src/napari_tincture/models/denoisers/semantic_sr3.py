"""A small denoiser of images of label maps, for our own trainings on few data.

SR3's U-Net, with BigGAN's residual blocks, told of the label map beside the noisy image, by SPADE
norms in the decoder, or by both. The finest level can be that of a reduced grid, whose channels are
the pixels of patches, so that a processor can train it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.noise_embedding import level_embedding
from napari_tincture.models.layers.semantic_blocks import (
    BlockKind,
    Blocks,
    DecoderLevel,
    EncoderLevel,
)
from napari_tincture.models.layers.style import Style
from napari_tincture.models.layers.together import Together
from napari_tincture.models.layers.zeroed import zeroed

Condition = Literal["concatenate", "spade", "both"]
Time = Literal["level", "index"]
PATCHES = (1, 2, 4)
SINES = 64
"""Channels of the first embedding of the noise."""
LEVELS = 1000.0
"""Noise levels are spread over as many steps: those of images with little noise lie close."""

SMALL = {
    "in_channels": 3, "out_channels": 2, "width": 8, "channel_mult": [1, 2], "res_blocks": 1,
    "condition": "both", "patch": 2, "attention_factors": [4], "spade_width": 4,
    "norm_groups": 4,
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 2,
    out_channels: int = 1,
    width: int = 32,
    channel_mult: Sequence[int] = (1, 2, 2, 2),
    res_blocks: int = 3,
    blocks: BlockKind = "biggan",
    condition: Condition = "both",
    patch: int = 2,
    attention_factors: Sequence[int] = (16,),
    head_channels: int = 32,
    spade_factors: Sequence[int] | None = None,
    spade_width: int = 32,
    spade_kernel: int = 1,
    norm_groups: int = 8,
    dropout: float = 0.1,
    time: Time = "level",
    styles: int = 0,
    style_dim: int = 64,
) -> SemanticSR3:
    """Build a denoiser whose sides are multiples of ``patch * 2**(len(channel_mult) - 1)``.

    Parameters
    ----------
    in_channels
        Of the label map: classes, and one for the edges of instances, if any.
    out_channels
        Of the image.
    width, channel_mult
        Channels of the finest level, and how many times as many each level has.
    res_blocks
        Of each level of the encoder; the decoder has one more.
    blocks
        "plain": as SR3's published code. "biggan": as its paper has them.
    condition
        How the label map enters: "concatenate", beside the noisy image; "spade", by the norms of
        the middle and the decoder; "both". SPADE at a reduced level sees the share of each class.
    patch
        Side of the patches whose pixels are the channels of the finest level: 1, 2 or 4.
    attention_factors, spade_factors
        At which levels there is attention, and SPADE; a level is how many times smaller than the
        image it is: `patch`, twice that, …. None: all.
    head_channels
        Of each head of the attention.
    spade_width, spade_kernel
        Channels between label map and norms, and size of the kernel behind them, 1 or 3.
    norm_groups
        Of all norms.
    time
        What `forward` is told of the noise.
    styles, style_dim
        How many styles there are, and the length of their vectors. 0: there are none.

    References
    ----------
    Saharia et al., SR3, 2021, section 2.4; Brock et al., BigGAN, 2019; Wang et al., Semantic image
    synthesis via diffusion models, 2022, section 3.2; patches as in Shi et al., CVPR 2016.
    """
    levels = [patch * 2**level for level in range(len(channel_mult))]
    _check_choices(blocks=(blocks, BlockKind), condition=(condition, Condition), time=(time, Time))
    _check_factors(levels, attention_factors, spade_factors or ())
    least = min(
        [width, res_blocks, out_channels, spade_width, norm_groups, *channel_mult], default=0
    )
    if least < 1 or patch not in PATCHES or spade_kernel not in (1, 3) or not channel_mult:
        raise ModelError(
            "Expected positive sizes, patch 1, 2 or 4 and spade_kernel 1 or 3, got width "
            f"{width}, channel_mult {tuple(channel_mult)}, res_blocks {res_blocks}, out_channels "
            f"{out_channels}, spade_width {spade_width}, norm_groups {norm_groups}, patch {patch} "
            f"and spade_kernel {spade_kernel}."
        )
    if condition != "concatenate" and in_channels < 1:
        raise ModelError("Without a label map there is no SPADE: give condition='concatenate'.")
    make = Blocks(
        kind=blocks,
        embedded=4 * width,
        labels=in_channels * patch**2,
        spade_width=spade_width,
        spade_kernel=spade_kernel,
        groups=norm_groups,
        head_channels=head_channels,
        dropout=dropout,
    )
    seen = levels if spade_factors is None else spade_factors
    shape = Shape(
        widths=[width * times for times in channel_mult],
        count=res_blocks,
        attending=[factor in attention_factors for factor in levels],
        spade=[condition != "concatenate" and factor in seen for factor in levels],
    )
    style = Style(styles, style_dim, make.embedded) if styles else None
    channels = (in_channels if condition != "spade" else 0, out_channels)
    scale = LEVELS if time == "level" else 1.0
    return SemanticSR3(channels, patch, scale, shape, make, style)


@dataclass(frozen=True, slots=True)
class Shape:
    """Levels of a U-Net, the finest first.

    Attributes
    ----------
    count
        Residual blocks of each level of the encoder.
    """

    widths: Sequence[int]
    count: int
    attending: Sequence[bool]
    spade: Sequence[bool]


class SemanticSR3(nn.Module):
    """From (b, out_channels, y, x) in [-1, 1], noisy, to as large a map, zero at first."""

    def __init__(
        self,
        channels: tuple[int, int],
        patch: int,
        scale: float,
        shape: Shape,
        make: Blocks,
        style: Style | None,
    ) -> None:
        super().__init__()
        self.patch, self.scale = patch, scale
        self.concatenates = channels[0] > 0
        self.stride = patch * 2 ** (len(shape.widths) - 1)
        self.time = nn.Sequential(
            nn.Linear(SINES, make.embedded), nn.SiLU(), nn.Linear(make.embedded, make.embedded)
        )
        self.style = style
        finest, deepest = shape.widths[0], shape.widths[-1]
        self.first = nn.Conv2d(sum(channels) * patch**2, finest, 3, padding=1)
        self.encoder, skips = _encoder(shape, make)
        middle = [make.residual(deepest, deepest, spade=shape.spade[-1]) for _ in range(2)]
        if shape.attending[-1]:
            middle.insert(1, make.attention(deepest))
        self.middle = Together(middle)
        self.decoder = _decoder(shape, skips, make)
        self.norm = make.norm(finest, spade=False)
        self.last = zeroed(nn.Conv2d(finest, channels[1] * patch**2, 3, padding=1))

    def forward(
        self, x: Tensor, time: Tensor, condition: Tensor, style: Tensor | None = None
    ) -> Tensor:
        """Predict what the card says that it predicts.

        Parameters
        ----------
        time
            (b,), the noise level or the step's index, as it was built for.
        condition
            (b, in_channels, y, x), one-hot classes.
        style
            (b,) integers, 0 for none or unknown, or (b, style_dim) vectors.

        Raises
        ------
        ModelError
            If a style is given and there are none, or it has another shape.
        """
        embedded = self._embedded(time, style, len(x))
        x, label = (functional.pixel_unshuffle(part, self.patch) for part in (x, condition))
        # Half the time of a convolution on a processor.
        x, label = (part.contiguous(memory_format=torch.channels_last) for part in (x, label))
        labels = [label]
        while len(labels) < len(self.encoder):
            labels.append(functional.avg_pool2d(labels[-1], 2) if label.shape[1] else label)
        skips = [self.first(torch.cat([x, label], 1) if self.concatenates else x)]
        for level, label in zip(self.encoder, labels, strict=True):
            skips += level(skips[-1], embedded, label)
        x = self.middle(skips[-1], embedded, labels[-1])
        for level, label in zip(self.decoder, reversed(labels), strict=True):
            x = level(x, embedded, label, skips)
        result = self.last(functional.silu(self.norm(x)))
        return functional.pixel_shuffle(result, self.patch)

    def _embedded(self, time: Tensor, style: Tensor | None, batch: int) -> Tensor:
        sines = level_embedding(time.float() * self.scale, SINES)
        embedded: Tensor = self.time(sines.to(next(self.parameters()).dtype))
        if self.style is not None:
            embedded = embedded + self.style(style, batch)
        elif style is not None:
            raise ModelError("This denoiser knows no styles; leave out the style.")
        return functional.silu(embedded)


def _encoder(shape: Shape, make: Blocks) -> tuple[nn.ModuleList, list[int]]:
    """Levels, and the channels that each block gives, the first convolution before."""
    levels, channels = list[nn.Module](), shape.widths[0]
    skips = [channels]
    for level, width in enumerate(shape.widths):
        blocks: list[nn.Module] = [Together([make.down(channels)])] if level else []
        skips += [channels] if level else []
        for _ in range(shape.count):
            blocks.append(_block(shape, level, make.residual(channels, width), make))
            channels = width
        skips += [width] * shape.count
        levels.append(EncoderLevel(blocks))
    return nn.ModuleList(levels), skips


def _decoder(shape: Shape, skips: Sequence[int], make: Blocks) -> nn.ModuleList:
    """Levels, the coarsest first."""
    levels, channels, left = list[nn.Module](), shape.widths[-1], list(skips)
    for level, width in reversed(list(enumerate(shape.widths))):
        blocks = list[nn.Module]()
        for _ in range(shape.count + 1):
            residual = make.residual(channels + left.pop(), width, spade=shape.spade[level])
            blocks.append(_block(shape, level, residual, make))
            channels = width
        ups = list[nn.Module]()
        if level:
            up, channels = make.up(width, shape.widths[level - 1])
            ups.append(up)
        levels.append(DecoderLevel(blocks, Together(ups)))
    return nn.ModuleList(levels)


def _block(shape: Shape, level: int, residual: nn.Module, make: Blocks) -> Together:
    attention = [make.attention(shape.widths[level])] if shape.attending[level] else []
    return Together([residual, *attention])


def _check_choices(**given: tuple[str, Any]) -> None:
    for name, (value, choices) in given.items():
        if value not in get_args(choices):
            raise ModelError(
                f"Unknown {name} {value!r}: choose one of {', '.join(get_args(choices))}."
            )


def _check_factors(levels: Sequence[int], *given: Sequence[int]) -> None:
    strange = sorted({factor for factors in given for factor in factors} - set(levels))
    if strange:
        raise ModelError(
            f"There are no levels {strange}; with this patch and channel_mult there are {levels}."
        )
