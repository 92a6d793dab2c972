"""Bayesian CycleGAN's encoder: a map of latent values, from an image of the domain to be made.

The paper says what the encoder gives and what its loss acts on, not its layers: these are chosen
here, after the generator's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.pix2pixhd import down_layers, first_layers, up_layers

SMALL = {"in_channels": 3, "out_channels": 1, "nef": 2, "n_downsample_E": 1}
"""Options of a network that tests can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 1,
    nef: int = 16,
    n_downsample_E: int = 2,  # noqa: N803 - as pix2pixHD's encoder has it
    latent_size: int = 8,
    norm: Literal["instance", "batch"] = "instance",
) -> BayesianEncoder:
    """Build an encoder; sides are multiples of ``2**n_downsample_E``.

    Parameters
    ----------
    out_channels
        Latent channels that the generator takes.
    latent_size
        Length of the mean and of the log-variance that the Kullback-Leibler divergence sees.

    References
    ----------
    You et al., arXiv 1811.07465, on latent values by an encoder.
    """
    if min(nef, n_downsample_E, latent_size) < 1:
        raise ModelError(
            "Expected nef, n_downsample_E and latent_size ≥ 1, got "
            f"{nef}, {n_downsample_E} and {latent_size}."
        )
    return BayesianEncoder(in_channels, out_channels, nef, n_downsample_E, latent_size, norm)


class BayesianEncoder(nn.Module):
    """From images (b, in_channels, y, x) to maps (b, out_channels, y, x), without any draw.

    A map has mean 0 and variance 1 over the image, as the N(0, 1) values that it stands for.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        nef: int,
        downsamplings: int,
        latent_size: int,
        norm: Literal["instance", "batch"],
    ) -> None:
        super().__init__()
        widths = [nef * 2**level for level in range(downsamplings + 1)]
        down, up = first_layers(in_channels, nef, norm), list[nn.Module]()
        for a, b in pairwise(widths):
            down += down_layers(a, b, norm)
        for a, b in pairwise(reversed(widths)):
            up += up_layers(a, b, norm)
        up += [nn.ReflectionPad2d(3), nn.Conv2d(nef, out_channels, 7, bias=False)]
        self.down = nn.Sequential(*down)
        self.up = nn.Sequential(*up, nn.InstanceNorm2d(out_channels))
        # No norm before these: what one leaves has no mean that a head could read.
        self.read = nn.Sequential(nn.Conv2d(widths[-1], widths[-1], 3, 2, 1), nn.LeakyReLU(0.2))
        self.mean = nn.Linear(widths[-1], latent_size)
        self.log_variance = nn.Linear(widths[-1], latent_size)

    def forward(self, x: Tensor) -> Tensor:
        """The map alone."""
        result: Tensor = self.up(self.down(x))
        return result

    def detailed(self, x: Tensor) -> dict[str, Tensor]:
        """The map as "image", and "mean" and "log_variance", (b, latent_size) each."""
        features = self.down(x)
        pooled = self.read(features).mean((2, 3))
        return {
            "image": self.up(features),
            "mean": self.mean(pooled),
            "log_variance": self.log_variance(pooled),
        }
