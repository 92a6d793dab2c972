"""Spatially-adaptive normalisation: scale and shift of features follow from a label map."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from napari_tincture.models.networks.resnet_generator import InstanceNorm

Norm = Literal["batch", "instance"]


class SpadeNorm(nn.Module):
    """Normalised features times 1 + γ plus β, both made of the label map by two convolutions.

    Keys of the state dict are those of the published implementation.

    Parameters
    ----------
    channels
        Of the features.
    classes
        Channels of the label map.
    hidden
        Channels between the two convolutions.
    kernel
        Side in pixels of their kernels, an odd number.
    norm
        What normalises: "batch", by running averages after training, or "instance".

    References
    ----------
    Park et al., Semantic image synthesis with spatially-adaptive normalization, CVPR 2019,
    equation 1 and appendix A.
    """

    def __init__(
        self, channels: int, classes: int, hidden: int = 128, kernel: int = 3, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        plain = nn.BatchNorm2d(channels, affine=False)
        self.param_free_norm = plain if norm == "batch" else InstanceNorm(channels)
        pad = kernel // 2
        shared = nn.Conv2d(classes, hidden, kernel, padding=pad)
        self.mlp_shared = nn.Sequential(shared, nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, kernel, padding=pad)
        self.mlp_beta = nn.Conv2d(hidden, channels, kernel, padding=pad)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        """Normalise features (b, channels, y, x) by a label map (b, classes, n·y, n·x)."""
        seen = self.mlp_shared(shrunk(classes, classes.shape[-1] // x.shape[-1]))
        result: Tensor = self.param_free_norm(x) * (1 + self.mlp_gamma(seen)) + self.mlp_beta(seen)
        return result


def shrunk(classes: Tensor, factor: int) -> Tensor:
    """Every `factor`-th pixel along y and x of (b, c, y, x), the first one included.

    That is the nearest neighbour as torch's ``interpolate`` chooses it. Taken by step, a window
    whose edges lie on multiples of the factor gives the same pixels as the whole image.
    """
    return classes if factor == 1 else classes[:, :, ::factor, ::factor]
