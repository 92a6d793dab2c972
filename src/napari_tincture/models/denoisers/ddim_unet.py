"""DDPM's and DDIM's U-Net: denoises images that are told nothing of what they should show.

Keys of the state dict are those of the published implementation, whose checkpoints load as they
are.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.ddim_blocks import (
    GROUPS,
    Blocks,
    DownLevel,
    Middle,
    Noise,
    UpLevel,
    norm,
)

SMALL = {
    "out_channels": 3, "ch": 32, "ch_mult": [1, 2], "num_res_blocks": 1, "attn_resolutions": [8],
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
        self.stride = 2 ** (len(widths) - 1)
        self.temb = Noise(ch, make.embedded)
        self.conv_in = nn.Conv2d(channels, ch, 3, padding=1)
        self.down, skips = _encoder(ch, widths, attending, count, make)
        self.mid = Middle(widths[-1], make)
        self.up = _decoder(skips, widths, attending, count, make)
        self.norm_out = norm(widths[0])
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
        embedded = self.temb(time)
        skips = [self.conv_in(x)]
        for level in self.down:
            skips += level(skips[-1], embedded)
        x = self.mid(skips[-1], embedded)
        for level in reversed(list(self.up)):
            x = level(x, embedded, skips)
        result: Tensor = self.conv_out(functional.silu(self.norm_out(x)))
        return result


def _encoder(
    channels: int, widths: Sequence[int], attending: Sequence[bool], count: int, make: Blocks
) -> tuple[nn.ModuleList, list[int]]:
    """Levels, and the channels of all that the decoder takes of them."""
    levels, skips = list[nn.Module](), [channels]
    for number, width in enumerate(widths):
        inputs, down = [channels, *[width] * (count - 1)], number < len(widths) - 1
        levels.append(DownLevel(inputs, width, attending[number], make, down))
        skips += [width] * (count + down)
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
    for number, width in reversed(list(enumerate(widths))):
        inputs = [below + left.pop() for below in (channels, *[width] * count)]
        levels.insert(0, UpLevel(inputs, width, attending[number], make, number > 0))
        channels = width
    return nn.ModuleList(levels)
