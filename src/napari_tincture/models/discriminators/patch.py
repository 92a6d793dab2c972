"""PatchGAN: says of every overlapping patch of an image whether it is real.

Keys of the state dict are those of the published implementation, whose checkpoints load as
they are.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.resnet_generator import make_norm

Norm = Literal["batch", "instance", "none"]
WIDEST = 8
"""Channels of the deepest layers, in widths of the first."""

SMALL = {"in_channels": 2, "ndf": 4, "n_layers": 2}
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3, ndf: int = 64, n_layers: int = 3, norm: Norm = "instance"
) -> PatchDiscriminator:
    """Build ``basic`` (the default, patches of 70 pixels) or ``n_layers``.

    Parameters
    ----------
    in_channels
        Of the image; of input and output together for a conditional discriminator.
    ndf
        Channels of the first convolution; they double with every layer, at most eight times.
    n_layers
        Number of convolutions with stride 2.
    norm
        ``"none"`` gives convolutions without bias, as the published code does.

    References
    ----------
    Isola et al., pix2pix, CVPR 2017, appendix 6.1.2 (2,764,737 parameters for 3 channels,
    3 layers and instance norm).
    """
    return PatchDiscriminator(in_channels, ndf, n_layers, norm)


class PatchDiscriminator(nn.Module):
    """From (b, in_channels, y, x) to scores (b, 1, y', x'), without a sigmoid."""

    def __init__(self, in_channels: int, ndf: int, n_layers: int, norm: Norm) -> None:
        super().__init__()
        if in_channels < 1 or ndf < 1 or n_layers < 1:
            raise ModelError(
                "Expected in_channels, ndf and n_layers ≥ 1, got "
                f"{in_channels}, {ndf} and {n_layers}."
            )
        bias = norm == "instance"
        widths = [ndf * min(2**level, WIDEST) for level in range(n_layers + 1)]
        layers: list[nn.Module] = [_convolution(in_channels, ndf, 2, bias=True), nn.LeakyReLU(0.2)]
        for level, (a, b) in enumerate(pairwise(widths), start=1):
            stride = 2 if level < n_layers else 1
            layers += [_convolution(a, b, stride, bias), make_norm(norm, b), nn.LeakyReLU(0.2)]
        layers.append(_convolution(widths[-1], 1, 1, bias=True))
        self.model = nn.Sequential(*layers)
        self._smallest = 3 * 2**n_layers

    def forward(self, x: Tensor) -> Tensor:
        """Score the patches of an image."""
        if min(x.shape[2:]) < self._smallest:
            raise ModelError(
                f"This discriminator judges images of at least {self._smallest} pixels a side, got "
                f"{tuple(x.shape[2:])}; take larger crops, or fewer layers or scales."
            )
        result: Tensor = self.model(x)
        return result


def _convolution(a: int, b: int, stride: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(a, b, 4, stride=stride, padding=1, bias=bias)
