"""VGG-19 up to the layers whose features perceptual losses compare.

Simonyan and Zisserman (2015), Very deep convolutional networks for large-scale image recognition,
configuration E. The names of its weights are those of torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from torch import Tensor, nn

from napari_tincture.models.user_weights import VGG

WIDTHS = (64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,)
"""Channels of the convolutions between pools, up to the first of the fifth block."""
SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Weights of the five features in pix2pixHD's loss."""


def conv_blocks(
    in_channels: int, widths: Sequence[Sequence[int]], *, batch_norm: bool = False
) -> list[list[nn.Module]]:
    """Layers of each block, 3×3 convolutions of these widths; all but the first begin by a pool."""
    blocks = []
    for number, outputs in enumerate(widths):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if number else []
        for width in outputs:
            norms = [nn.BatchNorm2d(width)] if batch_norm else []
            layers += [nn.Conv2d(in_channels, width, 3, padding=1), *norms, nn.ReLU()]
            in_channels = width
        blocks.append(layers)
    return blocks


class Vgg19(nn.Module):
    """The first 13 convolutions."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.taken: set[int] = set()
        for block in conv_blocks(3, WIDTHS):
            # The first ReLU of each block is what losses look at.
            first = next(n for n, layer in enumerate(block) if isinstance(layer, nn.ReLU))
            self.taken.add(len(layers) + first)
            layers += block
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images (b, 3, y, x), 16 pixels wide and high at least → relu1_1, relu2_1, … relu5_1."""
        found = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.taken:
                found.append(x)
        return found


def load_vgg(path: str | PathLike[str] | None = None) -> Vgg19:
    """Build the network with the weights of the user's file.

    Parameters
    ----------
    path
        State dict of torchvision's ``vgg19``, of torch or as ``.safetensors``. None: the file
        that the environment variable NAPARI_TINCTURE_VGG19 names.

    Returns
    -------
    Vgg19
        In evaluation mode, on the CPU, its weights fixed.

    Raises
    ------
    InputError
        If no file is given, or it is not there.
    ModelError
        If it is damaged, contains code, or holds the weights of another network.
    """
    network = Vgg19()
    # What follows relu5_1, and the classifier, are not needed.
    beyond = len(network.features)
    VGG.fill(
        network,
        path,
        spare=lambda key: key.startswith("classifier.") or place_of(key) >= beyond,
    )
    return network


def place_of(key: str) -> int:
    """Number of the layer that a tensor belongs to; -1 outside of the convolutions."""
    room, _, rest = key.partition(".")
    number = rest.partition(".")[0]
    return int(number) if room == "features" and number.isdigit() else -1
