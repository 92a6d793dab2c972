"""A small network that describes squares of images, to be learned from the images at hand."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (24, 48, 96, 96)
PROJECTED = 64


class PatchEncoder(nn.Module):
    """From images (b, c, y, x) in [0, 1] to features (b, `length`).

    Convolutions of stride 2; features are means and standard deviations of the last two of their
    maps, so that images of any size from 16 pixels on have equally many. While it learns, a
    projection of them is compared, which is not used afterwards (Chen et al., ICML 2020, SimCLR).

    Parameters
    ----------
    channels
        Of the images.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3 if n else 5, stride=2, padding=1 if n else 2)
            for n, (before, after) in enumerate(pairwise((channels, *WIDTHS)))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(8, width) for width in WIDTHS[1:])
        self.length = 2 * (WIDTHS[-2] + WIDTHS[-1])
        inner = self.length // 2
        self.projection = nn.Sequential(
            nn.Linear(self.length, inner), nn.ReLU(), nn.Linear(inner, PROJECTED)
        )
        self.register_buffer("mean", torch.zeros(self.length))
        self.register_buffer("deviation", torch.ones(self.length))

    def forward(self, images: Tensor) -> Tensor:
        """Describe images by the statistics of the last two layers."""
        maps = functional.silu(self.layers[0](images * 2 - 1))
        found = []
        for layer, norm in zip(list(self.layers)[1:], self.norms, strict=True):
            maps = functional.silu(norm(layer(maps)))
            found.append(maps)
        # The root's slope is infinite at 0.
        pooled = [
            (m.mean((2, 3)), m.var((2, 3), unbiased=False).add(1e-6).sqrt()) for m in found[-2:]
        ]
        return torch.cat([each for pair in pooled for each in pair], dim=1)

    def standardised(self, images: Tensor) -> Tensor:
        """Features less the mean of those it learned from, over their standard deviation."""
        found: Tensor = (self(images) - self.mean) / self.deviation
        return found

    def standardise(self, images: Tensor) -> None:
        """Take mean and standard deviation from the features of real images."""
        features = self(images)
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp(min=1e-6))

    def project(self, features: Tensor) -> Tensor:
        """Unit vectors (b, 64) that are compared while it learns."""
        return functional.normalize(self.projection(features), dim=1)
