"""Bayesian CycleGAN's generator: an image and a map of latent values in, an image out.

Keys of the state dict are those of the published implementation, whose checkpoints load as
they are.
"""

from __future__ import annotations

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.pix2pixhd import GlobalGenerator, Norm

SMALL = {
    "in_channels": 2, "out_channels": 3, "ngf": 2, "n_downsample_global": 1, "n_blocks_global": 1,
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 4,
    out_channels: int = 3,
    ngf: int = 32,
    n_downsample_global: int = 2,
    n_blocks_global: int = 6,
    norm: Norm = "instance",
) -> BayesianGenerator:
    """Build Bayesian CycleGAN's generator; sides are multiples of ``2**n_downsample_global``.

    Parameters
    ----------
    in_channels
        Those of the image, and after them 1 of latent values.
    n_downsample_global, n_blocks_global
        2 to 4 and 6 to 9 as published.

    References
    ----------
    You et al., Bayesian cycle-consistent generative adversarial networks via marginalizing
    latent sampling, IEEE TNNLS 2021, arXiv 1811.07465.
    """
    if in_channels < 2 or min(ngf, n_downsample_global) < 1 or n_blocks_global < 0:
        raise ModelError(
            "Expected in_channels ≥ 2 (the last is the latent one), ngf and n_downsample_global "
            f"≥ 1 and n_blocks_global ≥ 0, got {in_channels}, {ngf}, {n_downsample_global} and "
            f"{n_blocks_global}."
        )
    shape = (ngf, n_downsample_global, n_blocks_global)
    return BayesianGenerator(in_channels, out_channels, *shape, norm, activated=True)


class BayesianGenerator(GlobalGenerator):
    """pix2pixHD's global generator, its residual branches ending in a ReLU.

    The last input channel is latent: N(0, 1) at each pixel, or an encoder's map.
    """

    latent_channels = 1
