"""SPADE's discriminators: patch discriminators on several scales, with spectral norm.

They have the shape of pix2pixHD's. Keys of the state dict are those of the published
implementation.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.discriminators.multiscale import KERNEL, PADDING, pyramid, shapes
from napari_tincture.models.layers.spectral_norm import plain_or_spectral
from napari_tincture.models.networks.pix2pixhd import half
from napari_tincture.models.networks.resnet_generator import make_norm

Norm = Literal["instance", "batch", "none"]

SMALL = {"in_channels": 3, "ndf": 4, "n_layers": 3, "num_D": 2}
"""Options of a network that tests can afford."""


def build(
    in_channels: int = 39,
    ndf: int = 64,
    n_layers: int = 4,
    num_D: int = 2,  # noqa: N803 - the published name
    norm: Norm = "instance",
    spectral: bool = True,
) -> SpadeDiscriminator:
    """Build SPADE's discriminator.

    Parameters
    ----------
    in_channels
        Those of the label map, and after them of the image.
    n_layers
        Convolutions before the last one; pix2pixHD counts one less.
    num_D
        Number of scales.
    norm, spectral
        Of the convolutions between the first and the last; "spectralinstance" as published.

    References
    ----------
    Park et al., CVPR 2019, appendix A.
    """
    if min(ndf, n_layers - 1, num_D) < 1 or norm not in ("instance", "batch", "none"):
        raise ModelError(
            "Expected ndf and num_D ≥ 1, n_layers ≥ 2 and norm 'instance', 'batch' or 'none', got "
            f"{ndf}, {num_D}, {n_layers} and {norm!r}."
        )
    judges = [PatchFeatures(in_channels, ndf, n_layers, norm, spectral) for _ in range(num_D)]
    return SpadeDiscriminator(judges)


class SpadeDiscriminator(nn.Module):
    """Scores of patches on several scales; higher means more real."""

    def __init__(self, judges: list[PatchFeatures]) -> None:
        super().__init__()
        self.scales = len(judges)
        for number, judge in enumerate(judges):
            self.add_module(f"discriminator_{number}", judge)
        self.downsample = half()

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Judge label maps with images (b, in_channels, y, x).

        Returns
        -------
        list of list of Tensor
            By scale, the full resolution first, which discriminator 0 judges: maps of features
            (b, c, y', x'), then scores (b, 1, y'', x'').
        """
        images = pyramid(x, self.scales, self.downsample)
        return [self.get_submodule(f"discriminator_{n}")(each) for n, each in enumerate(images)]


class PatchFeatures(nn.Module):
    """From (b, in_channels, y, x) to maps of features, then scores (b, 1, y', x')."""

    def __init__(
        self, in_channels: int, ndf: int, n_layers: int, norm: Norm, spectral: bool
    ) -> None:
        super().__init__()
        first = nn.Conv2d(in_channels, ndf, KERNEL, stride=2, padding=PADDING)
        stages: list[list[nn.Module]] = [[first, nn.LeakyReLU(0.2)]]
        between = shapes(ndf, n_layers - 1)
        for a, b, stride in between:
            stages.append([normalised(spectral, norm, a, b, KERNEL, stride, PADDING)])
            stages[-1].append(nn.LeakyReLU(0.2))
        stages.append([nn.Conv2d(between[-1][1], 1, KERNEL, padding=PADDING)])
        for depth, stage in enumerate(stages):
            self.add_module(f"model{depth}", nn.Sequential(*stage))

    def forward(self, x: Tensor) -> list[Tensor]:
        """What every stage makes of the one before."""
        maps = [x]
        for stage in self.children():
            maps.append(stage(maps[-1]))
        return maps[1:]


def normalised(
    spectral: bool, norm: Norm, inputs: int, outputs: int, size: int, stride: int, padding: int
) -> nn.Module:
    """A convolution and its norm, which takes the place of a bias; without norm it alone."""
    bias = norm == "none"
    convolution = plain_or_spectral(spectral, inputs, outputs, size, stride, bias, padding)
    return convolution if bias else nn.Sequential(convolution, make_norm(norm, outputs))
