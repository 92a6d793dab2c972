"""Features of images without any trained weights, to follow a training by.

Statistics of a small convolutional network with fixed random weights tell textures and colours
apart well enough to see whether two sets of images grow alike (Heeger and Bergen 1995 with random
filters; Ustyuzhaninov et al. 2016, Texture synthesis using shallow convolutional networks with
random filters). Distances of such features compare steps of one training with each other; they
are not those of Inception features, which need weights of their own.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64)
SEED = 20150615


class SmallFeatures(nn.Module):
    """From images (b, c, y, x) to mean and standard deviation of each feature map, (b, k) float32.

    Parameters
    ----------
    channels
        Of the images, whose values are the networks'.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(SEED)
        self.layers = nn.ModuleList()
        for before, after in pairwise((channels, *WIDTHS)):
            layer = nn.Conv2d(before, after, 5, stride=2, padding=2, padding_mode="reflect")
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.normal_(layer.bias, 0, 0.1, generator=generator)  # type: ignore[arg-type]
            self.layers.append(layer)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Describe images by their colours and the maps of all layers."""
        maps, found = images.float(), [images.float()]
        for layer in self.layers:
            maps = torch.relu(layer(maps))
            found.append(maps)
        return torch.cat([torch.cat([m.mean((2, 3)), m.std((2, 3))], dim=1) for m in found], dim=1)
