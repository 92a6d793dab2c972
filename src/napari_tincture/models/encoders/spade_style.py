"""SPADE's image encoder: how an image looks, apart from what it shows, as a style vector.

Keys of the state dict are those of the published implementation.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.discriminators.spade import normalised

LAST = 4
"""Side in pixels of the map from which styles are read."""
WIDEST = 8
"""Channels of the deepest layers, in widths of the first."""
SLOPE = 0.2

SMALL = {"in_channels": 3, "z_dim": 3, "ngf": 2, "n_layers": 3}
"""Options of a network that tests can afford."""


def build(
    in_channels: int = 3,
    z_dim: int = 256,
    ngf: int = 64,
    n_layers: int = 6,
    norm: Literal["instance", "batch", "none"] = "instance",
    spectral: bool = True,
) -> StyleEncoder:
    """Build SPADE's image encoder.

    Parameters
    ----------
    z_dim
        Length of a style.
    n_layers
        Convolutions of stride 2; published are 6, for images of 256 pixels.
    norm, spectral
        "spectralinstance" as published.

    References
    ----------
    Park et al., CVPR 2019, section 3 and appendix A; Kingma and Welling, Auto-encoding
    variational Bayes, ICLR 2014.
    """
    if min(in_channels, z_dim, ngf, n_layers) < 1:
        raise ModelError(
            "Expected in_channels, z_dim, ngf and n_layers ≥ 1, got "
            f"{in_channels}, {z_dim}, {ngf} and {n_layers}."
        )
    return StyleEncoder(in_channels, z_dim, ngf, n_layers, norm, spectral)


class StyleEncoder(nn.Module):
    """From images (b, in_channels, y, x) in [-1, 1] to a distribution of styles of each."""

    def __init__(
        self,
        in_channels: int,
        z_dim: int,
        ngf: int,
        n_layers: int,
        norm: Literal["instance", "batch", "none"],
        spectral: bool,
    ) -> None:
        super().__init__()
        self.depth = n_layers
        self.side = LAST * 2**n_layers
        width = in_channels
        for depth in range(n_layers):
            inputs, width = width, ngf * min(2**depth, WIDEST)
            self.add_module(f"layer{depth + 1}", normalised(spectral, norm, inputs, width, 3, 2, 1))
        self.fc_mu = nn.Linear(width * LAST**2, z_dim)
        self.fc_var = nn.Linear(width * LAST**2, z_dim)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the styles, (b, z_dim) each.

        Images are resampled to `side` pixels a side, 256 as published.
        """
        size, x = (self.side, self.side), image
        if x.shape[2:] != size:
            x = functional.interpolate(x, size, mode="bilinear")
        for depth in range(self.depth):
            x = functional.leaky_relu(self.get_submodule(f"layer{depth + 1}")(x), SLOPE)
        flat = x.flatten(1)
        return self.fc_mu(flat), self.fc_var(flat)


def style_of(encoder: nn.Module, images: Tensor) -> Tensor:
    """The style (1, z_dim) of images (b, in_channels, y, x) in [-1, 1]: the mean of their means.

    For a network's `style`; the same images give the same, if the encoder is in inference mode.
    """
    with torch.no_grad():
        mean, _ = encoder(images)
    style: Tensor = mean.mean(0, keepdim=True)
    return style


def drawn_styles(z_dim: int, seed: int, count: int = 1) -> Tensor:
    """Styles (count, z_dim) of a standard normal distribution, the same for the same seed."""
    return torch.randn(count, z_dim, generator=torch.Generator().manual_seed(seed))


def sampled(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Styles drawn from what an encoder gives, so that gradients reach it, (b, z_dim)."""
    return mean + torch.randn_like(mean) * (log_variance / 2).exp()
