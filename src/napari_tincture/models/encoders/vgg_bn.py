"""VGG-16 with batch norm up to its last convolution; keys of the state dict are torchvision's."""

from __future__ import annotations

from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.features.vgg import conv_blocks, place_of
from napari_tincture.models.layers.pyramid import PyramidEncoder
from napari_tincture.models.layers.unet_blocks import init_weights

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Of the blocks between pools, at strides 1, 2, … 16."""
WIDEST = 8
"""The last blocks have 8 times the channels of the first."""

SMALL = {"in_channels": 2, "depth": 2, "width": 4}
"""Options of a network that tests can afford."""


def build(in_channels: int = 3, depth: int = 4, width: int = 64) -> VggEncoder:
    """Build an encoder with strides 1, 2, … ``2**depth``.

    Parameters
    ----------
    depth
        How often the image is halved, 1 to 4; what the published network has beyond is left out.
    width
        Channels at stride 1, doubled from there on up to 8 times; published weights have 64.

    References
    ----------
    Simonyan and Zisserman, ICLR 2015, configuration D; batch norm after Ioffe and Szegedy, ICML
    2015 (without the classifier 14,723,136 parameters).
    """
    if not 1 <= depth <= 4 or width < 1:
        raise ModelError(
            f"A VGG encoder has a depth of 1 to 4 and a width ≥ 1, got {depth} and {width}."
        )
    widths = [(width * min(2**n, WIDEST),) * CONVOLUTIONS[n] for n in range(depth + 1)]
    return VggEncoder(in_channels, widths)


class VggEncoder(PyramidEncoder):
    """From (b, in_channels, y, x) to features of the last convolution of each block."""

    first = "features.0.weight"

    def __init__(self, in_channels: int, widths: list[tuple[int, ...]]) -> None:
        super().__init__([w[-1] for w in widths], [2**n for n in range(len(widths))])
        blocks = conv_blocks(in_channels, widths, batch_norm=True)
        self.features = nn.Sequential(*(layer for block in blocks for layer in block))
        self.lengths = [len(block) for block in blocks]
        self.apply(init_weights)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features, the finest first."""
        features, start = [], 0
        for length in self.lengths:
            x = self.features[start : start + length](x)
            features.append(x)
            start += length
        return features

    def lies_behind(self, key: str) -> bool:
        """The classifier, and convolutions beyond this encoder's depth."""
        return key.startswith("classifier.") or place_of(key) >= len(self.features)
