"""pix2pixHD's encoder: what an object looks like, one vector per instance.

Keys of the state dict are those of the published implementation.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.networks.pix2pixhd import hourglass, last_layers

SMALL = {"in_channels": 3, "out_channels": 2, "nef": 2, "n_downsample_E": 1}
"""Options of a network that tests can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 3,
    nef: int = 16,
    n_downsample_E: int = 4,  # noqa: N803 - the published name
    norm: Literal["instance", "batch"] = "instance",
) -> FeatureEncoder:
    """Build pix2pixHD's encoder; sides are multiples of ``2**n_downsample_E``.

    Parameters
    ----------
    out_channels
        Length of an instance's vector, ``feat_num`` as published.

    References
    ----------
    Wang et al., CVPR 2018, section 3.4.
    """
    if min(nef, n_downsample_E, out_channels) < 1:
        raise ModelError(
            "Expected nef, n_downsample_E and out_channels ≥ 1, got "
            f"{nef}, {n_downsample_E} and {out_channels}."
        )
    return FeatureEncoder(in_channels, out_channels, nef, n_downsample_E, norm)


class FeatureEncoder(nn.Module):
    """Features of an image, each the mean over the instance that a pixel belongs to."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        nef: int,
        downsamplings: int,
        norm: Literal["instance", "batch"],
    ) -> None:
        super().__init__()
        layers = hourglass(in_channels, nef, downsamplings, [], norm)
        self.model = nn.Sequential(*layers, *last_layers(nef, out_channels))

    def forward(self, image: Tensor, instances: Tensor) -> Tensor:
        """Encode images.

        Parameters
        ----------
        image
            (b, in_channels, y, x) in [-1, 1].
        instances
            (b, 1, y, x), any number per instance; the same in two images means two instances.

        Returns
        -------
        Tensor
            (b, out_channels, y, x) in [-1, 1].
        """
        return instance_means(self.model(image), instances)


def instance_means(features: Tensor, instances: Tensor) -> Tensor:
    """Replace features (b, c, y, x) by their means over instances (b, 1, y, x) of each image."""
    batch, channels, height, width = features.shape
    if instances.shape != (batch, 1, height, width):
        raise InputError(
            f"Expected instances of shape {(batch, 1, height, width)}, got "
            f"{tuple(instances.shape)}."
        )
    _, number = instances.unique(return_inverse=True)
    count = int(number.max()) + 1
    image = torch.arange(batch, device=number.device)[:, None]
    place = (number.flatten(1) + count * image).flatten()
    flat = features.transpose(0, 1).reshape(channels, -1)
    sums = flat.new_zeros(channels, batch * count).index_add(1, place, flat)
    sizes = place.bincount(minlength=batch * count).clamp(min=1)
    means: Tensor = (sums / sizes)[:, place]
    return means.reshape(channels, batch, height, width).transpose(0, 1)
