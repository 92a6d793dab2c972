"""Norms whose scale and shift are maps, made from what an image should show."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.models.layers.map_memory import remembered

HIDDEN = 128


class SpadeGroupNorm(nn.Module):
    """Group norm of (b, c, y, x), scaled and shifted pixel by pixel as a label map says.

    Keys of the state dict are those of published Semantic Diffusion Models.

    Parameters
    ----------
    labels
        Channels of the label map.
    hidden
        Channels between the map and its scales and shifts.
    size
        Of the second convolution's kernel: 3, or 1, which is nine times cheaper.

    References
    ----------
    Park et al., SPADE, CVPR 2019, equation 1; with group norm in Wang et al., Semantic image
    synthesis via diffusion models, 2022, section 3.2.
    """

    def __init__(
        self, channels: int, labels: int, hidden: int = HIDDEN, groups: int = 32, size: int = 3
    ) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, affine=False)
        self.mlp_shared = nn.Sequential(nn.Conv2d(labels, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, size, padding=size // 2)
        self.mlp_beta = nn.Conv2d(hidden, channels, size, padding=size // 2)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Normalise `x`; a `label` (b, labels, y', x') of another size is read at the nearest."""
        scale, shift = remembered(self, lambda: self._maps(label, x.shape[2:]))
        result: Tensor = self.norm(x) * scale + shift
        return result

    def _maps(self, label: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
        if label.shape[2:] != shape:
            label = functional.interpolate(label, shape, mode="nearest")
        features = self.mlp_shared(label)
        return 1 + self.mlp_gamma(features), self.mlp_beta(features)
