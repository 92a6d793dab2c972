"""PixelGAN: judges every pixel by its colour alone.

Keys of the state dict are those of the published implementation, whose checkpoints load as
they are.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.resnet_generator import make_norm

Norm = Literal["batch", "instance", "none"]

SMALL = {"in_channels": 2, "ndf": 4}
"""Options of a network that tests and demonstrations can afford."""


def build(in_channels: int = 3, ndf: int = 64, norm: Norm = "instance") -> PixelDiscriminator:
    """Build ``pixel``.

    Parameters
    ----------
    in_channels
        Of the image; of input and output together for a conditional discriminator.
    ndf
        Channels of the first convolution; the second has twice as many.
    norm
        ``"batch"`` and ``"none"`` leave the biases of the second and third convolution out, as
        the published code does.

    References
    ----------
    Isola et al., pix2pix, CVPR 2017, appendix 6.1.2.
    """
    return PixelDiscriminator(in_channels, ndf, norm)


class PixelDiscriminator(nn.Module):
    """From (b, in_channels, y, x) to scores (b, 1, y, x), without a sigmoid."""

    def __init__(self, in_channels: int, ndf: int, norm: Norm) -> None:
        super().__init__()
        if in_channels < 1 or ndf < 1:
            raise ModelError(f"Expected in_channels and ndf ≥ 1, got {in_channels} and {ndf}.")
        bias = norm == "instance"
        self.net = nn.Sequential(
            nn.Conv2d(in_channels, ndf, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(ndf, 2 * ndf, 1, bias=bias),
            make_norm(norm, 2 * ndf),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * ndf, 1, 1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Score the pixels of an image."""
        result: Tensor = self.net(x)
        return result
