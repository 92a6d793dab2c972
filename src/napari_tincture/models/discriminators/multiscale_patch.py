"""Several PatchGANs, each of which sees the image at half the size of the one before."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.discriminators.patch import PatchDiscriminator

Norm = Literal["batch", "instance", "none"]

SMALL = {"in_channels": 2, "ndf": 4, "n_layers": 2, "scales": 2}
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3,
    ndf: int = 64,
    n_layers: int = 3,
    norm: Norm = "instance",
    scales: int = 2,
) -> MultiscalePatchDiscriminator:
    """Build discriminators for 2 to 4 scales; the other options are those of ``patch``.

    References
    ----------
    Wang et al., pix2pixHD, CVPR 2018, section 3.2.
    """
    return MultiscalePatchDiscriminator(in_channels, ndf, n_layers, norm, scales)


class MultiscalePatchDiscriminator(nn.Module):
    """From (b, in_channels, y, x) to scores (b, 1, y', x') per scale, the finest first."""

    def __init__(self, in_channels: int, ndf: int, n_layers: int, norm: Norm, scales: int) -> None:
        super().__init__()
        if not 2 <= scales <= 4:
            raise ModelError(
                f"Expected 2 to 4 scales, got {scales}; for one use the architecture 'patch'."
            )
        self.scales = nn.ModuleList(
            PatchDiscriminator(in_channels, ndf, n_layers, norm) for _ in range(scales)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Score the patches of an image and of its reductions by averaging 2×2 pixels."""
        scores: list[Tensor] = []
        for index, discriminator in enumerate(self.scales):
            x = functional.avg_pool2d(x, 2) if index else x
            scores.append(discriminator(x))
        return scores
