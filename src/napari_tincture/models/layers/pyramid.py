"""Features of an image at several strides: what encoders give and decoders take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.models.layers.unet_blocks import Norm, double_conv


class PyramidEncoder(nn.Module):
    """From (b, c, y, x) to a list of features, the finest first, (b, channels[i], y / s, x / s).

    Attributes
    ----------
    channels, strides
        Of every level; sides of the image are multiples of the last stride s.
    norm
        Normalisation that a decoder should have, too.
    first
        Name of the weight that sees the image, in published files; empty if there are none.
    """

    first: ClassVar[str] = ""

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], norm: Norm = "batch"
    ) -> None:
        super().__init__()
        self.channels, self.strides, self.norm = tuple(channels), tuple(strides), norm

    def lies_behind(self, key: str) -> bool:
        """Whether a tensor of a published file belongs to what follows the last level."""
        return False


class Decoder(nn.Module):
    """From the deepest features back to the image's size, doubling it at each step.

    Each step enlarges by nearest neighbours, joins what the encoder has at that stride, and
    convolves twice; at stride s there are ``width * s`` channels.

    Parameters
    ----------
    encoder
        Whose features are taken.
    width
        Channels of the result (b, width, y, x).
    skips
        Take features of all strides; else of the last one alone.
    """

    def __init__(self, encoder: PyramidEncoder, width: int, *, skips: bool) -> None:
        super().__init__()
        known = dict(zip(encoder.strides[:-1], encoder.channels[:-1], strict=True))
        self.strides = encoder.strides
        self.joined = frozenset(known) if skips else frozenset[int]()
        blocks: list[nn.Module] = []
        inputs, stride = encoder.channels[-1], encoder.strides[-1]
        while stride > 1:
            stride //= 2
            joined = known[stride] if stride in self.joined else 0
            blocks.append(double_conv(inputs + joined, width * stride, encoder.norm))
            inputs = width * stride
        self.blocks = nn.ModuleList(blocks)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map an encoder's features to (b, width, y, x)."""
        found = dict(zip(self.strides, features, strict=True))
        stride, x = self.strides[-1], features[-1]
        for block in self.blocks:
            stride //= 2
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([x, found[stride]], 1) if stride in self.joined else x)
        return x
