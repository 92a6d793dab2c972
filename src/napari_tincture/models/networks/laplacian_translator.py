"""A translator of Laplacian pyramids, for very large images.

Colours and illumination are translated where the image is small; what the details become is a
mask for each band, made for the coarsest and refined towards the finest. Each step up or down is
by exactly 2, so that tiles give what the whole image does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError

KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""Burt and Adelson (1983), The Laplacian pyramid as a compact image code, with a = 0.375."""

SMALL = {
    "in_channels": 2, "out_channels": 3, "levels": 2, "nrb_low": 1, "nrb_high": 1, "width": 4,
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 3,
    levels: int = 3,
    nrb_low: int = 5,
    nrb_high: int = 3,
    width: int = 64,
) -> LaplacianTranslator:
    """Build a Laplacian pyramid translation network; sides are multiples of ``2**levels``.

    Parameters
    ----------
    levels
        How often the image is halved before it is translated.
    nrb_low, nrb_high
        Residual blocks that translate the small image, and those that make the coarsest mask.
    width
        Channels of these blocks; the layers around them have a quarter.

    References
    ----------
    Liang, Zeng, Zhang, High-resolution photorealistic image translation in real-time: a Laplacian
    pyramid translation network, CVPR 2021, arXiv 2105.09188, section 3.
    """
    if min(levels, width // 4) < 1 or min(nrb_low, nrb_high) < 0:
        raise ModelError(
            "Expected levels ≥ 1, width ≥ 4 and no negative number of blocks, got "
            f"{levels}, {width}, {nrb_low} and {nrb_high}."
        )
    return LaplacianTranslator(in_channels, out_channels, levels, nrb_low, nrb_high, width)


class LaplacianTranslator(nn.Module):
    """From (b, in_channels, y, x) in [-1, 1] to (b, out_channels, y, x), about [-1, 1].

    Where domains differ in channels, a 1 × 1 convolution comes first.
    """

    kernel: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        levels: int,
        nrb_low: int,
        nrb_high: int,
        width: int,
    ) -> None:
        super().__init__()
        self.levels = levels
        same = in_channels == out_channels
        self.recolour = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        channels, narrow = out_channels, width // 4
        self.low = nn.Sequential(
            _convolution(channels, narrow), nn.InstanceNorm2d(narrow), nn.LeakyReLU(0.2),
            _convolution(narrow, width), nn.LeakyReLU(0.2),
            *(ResidualBlock(width) for _ in range(nrb_low)),
            _convolution(width, narrow), nn.LeakyReLU(0.2), _convolution(narrow, channels),
        )  # fmt: skip
        self.high = nn.Sequential(
            _convolution(3 * channels, width), nn.LeakyReLU(0.2),
            *(ResidualBlock(width) for _ in range(nrb_high)),
            _convolution(width, channels),
        )  # fmt: skip
        self.refine = nn.ModuleList(
            nn.Sequential(
                _convolution(channels, narrow), nn.LeakyReLU(0.2), _convolution(narrow, channels)
            )
            for _ in range(levels - 1)
        )
        line = torch.tensor(KERNEL)
        self.register_buffer("kernel", line[:, None] * line, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Translate an image."""
        details, low = self._analyse(self.recolour(x))
        result: Tensor = torch.tanh(low + self.low(low))
        coarsest = torch.cat([details[-1], double(low), double(result)], 1)
        mask: Tensor = self.high(coarsest)
        result = double(result) + mask * details.pop()
        for refine in self.refine:
            mask = double(mask)
            mask = mask + refine(mask)
            result = double(result) + mask * details.pop()
        return result

    def _analyse(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Bands of detail, the finest first, and what is left of the image."""
        details = []
        for _ in range(self.levels):
            smaller = self._halve(image)
            details.append(image - double(smaller))
            image = smaller
        return details, image

    def _halve(self, image: Tensor) -> Tensor:
        channels = image.shape[1]
        kernel = self.kernel.to(image.dtype).expand(channels, 1, *self.kernel.shape)
        padded = functional.pad(image, (2, 2, 2, 2), mode="reflect")
        return functional.conv2d(padded, kernel, stride=2, groups=channels)


class ResidualBlock(nn.Module):
    """x + conv(lrelu(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            _convolution(channels, channels), nn.LeakyReLU(0.2), _convolution(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's correction."""
        result: Tensor = x + self.block(x)
        return result


def double(image: Tensor) -> Tensor:
    """Twice the sides, between pixels linearly."""
    # A size instead of a factor would make weights depend on the size of the image.
    return functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)


def _convolution(a: int, b: int) -> nn.Module:
    return nn.Conv2d(a, b, 3, padding=1, padding_mode="replicate")
