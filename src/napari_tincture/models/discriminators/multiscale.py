"""pix2pixHD's discriminators: patch discriminators of one shape, each on a smaller image.

Keys of the state dict are those of the published implementation, with or without features.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.pix2pixhd import half
from napari_tincture.models.networks.resnet_generator import make_norm

KERNEL, PADDING = 4, 2
WIDEST = 512

SMALL = {"in_channels": 3, "ndf": 4, "n_layers": 2, "num_D": 2}
"""Options of a network that tests can afford."""


def build(
    in_channels: int = 3,
    ndf: int = 64,
    n_layers: int = 3,
    num_D: int = 2,  # noqa: N803 - the published name
    norm: Literal["instance", "batch"] = "instance",
    features: bool = True,
) -> MultiscaleDiscriminator:
    """Build pix2pixHD's discriminator.

    Parameters
    ----------
    in_channels
        Those of an image, and before them of what it was made from, if that is shown.
    num_D
        Number of scales.
    features
        Give the features between layers, too, as feature matching needs. Keys of the state dict
        are ``scaleI_layerJ.N`` then, else ``layerI.N``.

    References
    ----------
    Wang et al., CVPR 2018, section 3.2 (5,603,202 parameters for 39 channels).
    """
    if min(ndf, n_layers, num_D) < 1:
        raise ModelError(
            f"Expected ndf, n_layers and num_D ≥ 1, got {ndf}, {n_layers} and {num_D}."
        )
    return MultiscaleDiscriminator(in_channels, ndf, n_layers, num_D, norm, features)


class MultiscaleDiscriminator(nn.Module):
    """Scores of patches on several scales; higher means more real."""

    def __init__(
        self,
        in_channels: int,
        ndf: int,
        n_layers: int,
        scales: int,
        norm: Literal["instance", "batch"],
        features: bool,
    ) -> None:
        super().__init__()
        self.scales, self.depth, self.features = scales, n_layers + 2, features
        for scale in range(scales):
            stages = _stages(in_channels, ndf, n_layers, norm)
            if features:
                for depth, stage in enumerate(stages):
                    self.add_module(f"scale{scale}_layer{depth}", nn.Sequential(*stage))
            else:
                flat = [layer for stage in stages for layer in stage]
                self.add_module(f"layer{scale}", nn.Sequential(*flat))
        self.downsample = half()

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Judge images (b, in_channels, y, x).

        Returns
        -------
        list of list of Tensor
            By scale, the full resolution first, which the discriminator of the highest index
            judges: maps of features (b, c, y', x') if asked for, then scores (b, 1, y'', x'').
        """
        images = pyramid(x, self.scales, self.downsample)
        numbers = reversed(range(self.scales))
        return [self._judge(number, image) for number, image in zip(numbers, images, strict=True)]

    def _judge(self, scale: int, x: Tensor) -> list[Tensor]:
        if not self.features:
            return [self.get_submodule(f"layer{scale}")(x)]
        maps = [x]
        for depth in range(self.depth):
            maps.append(self.get_submodule(f"scale{scale}_layer{depth}")(maps[-1]))
        return maps[1:]


def pyramid(x: Tensor, scales: int, halve: nn.Module) -> list[Tensor]:
    """An image and its reductions, the largest first."""
    images = [x]
    while len(images) < scales:
        images.append(halve(images[-1]))
    return images


def shapes(ndf: int, strided: int) -> list[tuple[int, int, int]]:
    """Inputs, outputs and stride of the convolutions between the first and the last one."""
    widths = [min(ndf * 2**level, WIDEST) for level in range(strided + 1)]
    return [(a, b, 1 + (n < strided)) for n, (a, b) in enumerate(pairwise(widths), 1)]


def _stages(
    in_channels: int, ndf: int, n_layers: int, norm: Literal["instance", "batch"]
) -> list[list[nn.Module]]:
    stages: list[list[nn.Module]] = [[_convolution(in_channels, ndf, 2), nn.LeakyReLU(0.2)]]
    between = shapes(ndf, n_layers)
    for a, b, stride in between:
        stages.append([_convolution(a, b, stride), make_norm(norm, b), nn.LeakyReLU(0.2)])
    return [*stages, [_convolution(between[-1][1], 1, 1)]]


def _convolution(a: int, b: int, stride: int) -> nn.Module:
    return nn.Conv2d(a, b, KERNEL, stride=stride, padding=PADDING)
