"""The contracting path of `unet`, by itself; padded. Keys of the state dict are those of `unet`."""

from __future__ import annotations

from torch import Tensor

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.pyramid import PyramidEncoder
from napari_tincture.models.layers.unet_blocks import (
    Norm,
    check_norm,
    contracting_path,
    descend,
    init_weights,
)
from napari_tincture.models.networks.unet import level_widths

SMALL = {"in_channels": 2, "depth": 2, "width": 4}
"""Options of a network that tests can afford."""


def build(
    in_channels: int = 1,
    depth: int = 4,
    width: int = 64,
    max_width: int | None = None,
    norm: Norm = "none",
    residual: bool = False,
) -> UNetEncoder:
    """Build an encoder; options are those of `unet`, strides 1, 2, … ``2**depth``."""
    if depth < 1 or width < 1:
        raise ModelError(f"A U-Net needs depth ≥ 1 and width ≥ 1, got {depth} and {width}.")
    check_norm(norm)
    return UNetEncoder(in_channels, level_widths(depth, width, max_width), norm, residual)


class UNetEncoder(PyramidEncoder):
    """From (b, in_channels, y, x) to features of every level."""

    def __init__(self, in_channels: int, sizes: list[int], norm: Norm, residual: bool) -> None:
        super().__init__(sizes, [2**level for level in range(len(sizes))], norm)
        self.down = contracting_path(in_channels, sizes, norm, residual=residual)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features, the finest first."""
        return descend(self.down, x)
