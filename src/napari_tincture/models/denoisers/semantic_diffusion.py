"""Semantic Diffusion Model: a U-Net that denoises an image of a label map.

Its encoder sees the noisy image alone; what the image should show enters by SPADE norms in the
middle and the decoder. Keys of the state dict are those of the published implementation, whose
checkpoints load as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.guided_blocks import GROUPS, Blocks
from napari_tincture.models.layers.noise_embedding import guided_embedding
from napari_tincture.models.layers.together import Together
from napari_tincture.models.layers.zeroed import zeroed

SMALL = {
    "in_channels": 3, "image_channels": 3, "out_channels": 6, "num_channels": 32,
    "channel_mult": [1, 2], "num_res_blocks": 1, "image_size": 16, "attention_resolutions": [8],
    "num_head_channels": 16,
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 151,
    image_channels: int = 3,
    out_channels: int = 6,
    num_channels: int = 256,
    channel_mult: Sequence[float] = (1, 1, 2, 2, 4, 4),
    num_res_blocks: int = 2,
    image_size: int = 256,
    attention_resolutions: Sequence[int] = (32, 16, 8),
    num_heads: int = 4,
    num_heads_upsample: int = -1,
    num_head_channels: int = 64,
    use_scale_shift_norm: bool = True,
    resblock_updown: bool = True,
    use_new_attention_order: bool = False,
    dropout: float = 0.0,
) -> SemanticDiffusion:
    """Build the denoiser; the defaults are those of the published model of ADE20K.

    Sides are multiples of ``2**(len(channel_mult) - 1)``.

    Parameters
    ----------
    in_channels
        Of the label map: classes, and one for the edges of instances, if any.
    out_channels
        As many as the image has, or twice as many, if the variance is learned.
    num_channels, channel_mult
        Channels of the first level, and how many times as many each level has; multiples of 32.
    image_size, attention_resolutions
        Side of the images that it is trained on, and sides of the maps there that attend to
        themselves, in pixels. Images of other sides attend at the same levels.
    num_heads, num_heads_upsample, num_head_channels
        Heads of the attention, and of the decoder's unless that is -1; neither counts unless the
        channels of each head are -1.
    use_scale_shift_norm
        The noise scales and shifts the second norm of a block; it is added before it otherwise.
    resblock_updown
        Residual blocks change the resolution; a convolution does otherwise.
    use_new_attention_order
        Channels of queries, keys and values stand before those of heads.

    References
    ----------
    Wang et al., Semantic image synthesis via diffusion models, 2022, arXiv 2207.00050, figure 2;
    Dhariwal and Nichol, Diffusion models beat GANs on image synthesis, 2021, section 3
    (660,608,518 parameters for ADE20K).
    """
    widths = [int(times * num_channels) for times in channel_mult]
    if not widths or num_res_blocks < 1 or any(width < 1 or width % GROUPS for width in widths):
        raise ModelError(
            f"Expected num_res_blocks ≥ 1 and channels that are multiples of {GROUPS} at every "
            f"level, got {num_res_blocks} and {widths}; change num_channels or channel_mult."
        )
    make = Blocks(
        embedded=4 * num_channels,
        labels=in_channels,
        scales=use_scale_shift_norm,
        residual_changes=resblock_updown,
        new_order=use_new_attention_order,
        head_channels=num_head_channels,
        dropout=dropout,
    )
    sides = [image_size // side for side in attention_resolutions]
    attending = [2**level in sides for level in range(len(widths))]
    heads = num_heads, num_heads if num_heads_upsample == -1 else num_heads_upsample
    channels = image_channels, out_channels, num_channels
    return SemanticDiffusion(channels, widths, num_res_blocks, attending, heads, make)


class SemanticDiffusion(nn.Module):
    """From (b, image_channels, y, x) in [-1, 1], noisy, to (b, out_channels, y, x)."""

    def __init__(
        self,
        channels: tuple[int, int, int],
        widths: Sequence[int],
        count: int,
        attending: Sequence[bool],
        heads: tuple[int, int],
        make: Blocks,
    ) -> None:
        super().__init__()
        image, out, self.channels = channels
        self.stride = 2 ** (len(widths) - 1)
        wide = make.embedded
        self.time_embed = nn.Sequential(
            nn.Linear(self.channels, wide), nn.SiLU(), nn.Linear(wide, wide)
        )
        first = nn.Conv2d(image, widths[0], 3, padding=1)
        self.input_blocks, skips = _encoder(first, widths, count, attending, heads[0], make)
        deepest = widths[-1]
        self.middle_block = Together(
            [
                make.residual(deepest, deepest, decodes=True),
                make.attention(deepest, heads[0]),
                make.residual(deepest, deepest, decodes=True),
            ]
        )
        self.output_blocks = _decoder(widths, count, skips, attending, heads[1], make)
        last = nn.Conv2d(widths[0], out, 3, padding=1)
        self.out = nn.Sequential(nn.GroupNorm(GROUPS, widths[0]), nn.SiLU(), zeroed(last))

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Predict the noise, and behind it where the variance lies, if that is learned.

        Parameters
        ----------
        time
            (b,), the step's index from 0.
        condition
            (b, in_channels, y, x), one-hot classes; all zeros: any image.
        """
        embedded = guided_embedding(time, self.channels)
        embedded = self.time_embed(embedded.to(next(self.parameters()).dtype))
        skips = []
        for block in self.input_blocks:
            x = block(x, embedded, condition)
            skips.append(x)
        x = self.middle_block(x, embedded, condition)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], 1), embedded, condition)
        result: Tensor = self.out(x)
        return result


def _encoder(
    first: nn.Module,
    widths: Sequence[int],
    count: int,
    attending: Sequence[bool],
    heads: int,
    make: Blocks,
) -> tuple[nn.ModuleList, list[int]]:
    """Blocks, and the channels that each gives."""
    blocks, skips, channels = [Together([first])], [widths[0]], widths[0]
    for level, width in enumerate(widths):
        for _ in range(count):
            block = Together([make.residual(channels, width, decodes=False)])
            if attending[level]:
                block.append(make.attention(width, heads))
            blocks.append(block)
            skips.append(width)
            channels = width
        if level < len(widths) - 1:
            blocks.append(Together([make.change(channels, "down", decodes=False)]))
            skips.append(channels)
    return nn.ModuleList(blocks), skips


def _decoder(
    widths: Sequence[int],
    count: int,
    skips: Sequence[int],
    attending: Sequence[bool],
    heads: int,
    make: Blocks,
) -> nn.ModuleList:
    blocks, channels, left = [], widths[-1], list(skips)
    for level, width in reversed(list(enumerate(widths))):
        for number in range(count + 1):
            block = Together([make.residual(channels + left.pop(), width, decodes=True)])
            channels = width
            if attending[level]:
                block.append(make.attention(width, heads))
            if level and number == count:
                block.append(make.change(width, "up", decodes=True))
            blocks.append(block)
    return nn.ModuleList(blocks)
