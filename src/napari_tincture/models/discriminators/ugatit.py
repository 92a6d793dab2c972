"""U-GAT-IT's discriminator: patch scores under class-activation attention.

Keys of the state dict are those of the published PyTorch implementation.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.layers.class_activation import attended, class_logits, heatmap_of
from napari_tincture.models.layers.spectral_norm import SpectralConv2d, SpectralLinear

SLOPE = 0.2
SMALL = {"in_channels": 2, "ndf": 2, "n_layers": 3}
"""Options of a network that tests and demonstrations can afford."""


def build(in_channels: int = 3, ndf: int = 64, n_layers: int = 7) -> UgatitDiscriminator:
    """Build the global discriminator (the default) or, with ``n_layers=5``, the local one.

    Parameters
    ----------
    ndf
        Channels of the first convolution; they double with each that follows.
    n_layers
        Two more than the image is halved; sides are at least ``3 * 2**(n_layers - 2)`` pixels.

    References
    ----------
    Kim et al., U-GAT-IT, ICLR 2020, arXiv 1907.10830 (53,130,176 parameters global, 3,290,560
    local).
    """
    return UgatitDiscriminator(in_channels, ndf, n_layers)


class UgatitDiscriminator(nn.Module):
    """From (b, in_channels, y, x) to scores of patches (b, 1, y', x'): 1 for real, 0 for made."""

    extras: ClassVar[dict[str, int]] = {"heatmap": 1}
    """Entries of `detailed` that are maps beside the scores, and their channels."""

    def __init__(self, in_channels: int, ndf: int, n_layers: int) -> None:
        super().__init__()
        if ndf < 1 or n_layers < 3:
            raise ModelError(f"Expected ndf ≥ 1 and n_layers ≥ 3, got {ndf} and {n_layers}.")
        self.smallest_side = 3 * 2 ** (n_layers - 2)
        widths = [in_channels, *(ndf * 2**level for level in range(n_layers - 1))]
        layers: list[nn.Module] = []
        for level in range(n_layers - 1):
            stride = 1 if level == n_layers - 2 else 2
            convolution = SpectralConv2d(widths[level], widths[level + 1], 4, stride)
            layers += [nn.ReflectionPad2d(1), convolution, nn.LeakyReLU(SLOPE)]
        self.model = nn.Sequential(*layers)
        width = widths[-1]
        self.gap_fc = SpectralLinear(width, 1)
        self.gmp_fc = SpectralLinear(width, 1)
        self.conv1x1 = nn.Conv2d(2 * width, width, 1)
        self.pad = nn.ReflectionPad2d(1)
        self.conv = SpectralConv2d(width, 1, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Score the patches of an image."""
        result: Tensor = self.conv(self.pad(self._attended(self._features(x))))
        return result

    def detailed(self, x: Tensor) -> dict[str, Tensor]:
        """The scores and what the network knows beside them.

        Returns
        -------
        dict
            "scores" (b, 1, y', x'); "heatmap" (b, 1, y' + 1, x' + 1), what the network attends
            to; "cam_logit" (b, 2), how real the whole image looks, by average and by max pooling.
        """
        features = self._features(x)
        seen = self._attended(features)
        return {
            "scores": self.conv(self.pad(seen)),
            "heatmap": heatmap_of(seen),
            "cam_logit": class_logits(features, self.gap_fc, self.gmp_fc),
        }

    def _features(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) < self.smallest_side:
            raise InputError(
                f"This discriminator takes images of at least {self.smallest_side} pixels a side, "
                f"got {x.shape[-2]} × {x.shape[-1]}. Use larger crops, or fewer n_layers."
            )
        features: Tensor = self.model(x)
        return features

    def _attended(self, features: Tensor) -> Tensor:
        # The classifiers' weights as they are, not divided by their norm.
        weights = self.gap_fc.weight_orig, self.gmp_fc.weight_orig
        return functional.leaky_relu(attended(features, *weights, self.conv1x1), SLOPE)
