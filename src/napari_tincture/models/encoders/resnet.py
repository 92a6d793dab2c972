"""ResNet-18 and ResNet-34 up to their last block; keys of the state dict are torchvision's."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.pyramid import PyramidEncoder
from napari_tincture.models.layers.unet_blocks import init_weights

Layers = Literal[18, 34]
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Residual blocks at strides 4, 8, 16 and 32."""

SMALL = {"in_channels": 2, "depth": 2, "width": 4}
"""Options of a network that tests can afford."""


def build(
    in_channels: int = 3, layers: Layers = 18, depth: int = 5, width: int = 64
) -> ResNetEncoder:
    """Build an encoder with strides 2, 4, … ``2**depth``.

    Parameters
    ----------
    depth
        How often the image is halved, 1 to 5; what the published network has beyond is left out.
    width
        Channels at strides 2 and 4, doubled from there on; published weights have 64.

    References
    ----------
    He et al., Deep residual learning, CVPR 2016, table 1 (without the classifier 11,176,512 and
    21,284,672 parameters).
    """
    if layers not in get_args(Layers) or not 1 <= depth <= 5 or width < 1:
        raise ModelError(
            f"A ResNet encoder has 18 or 34 layers, a depth of 1 to 5 and a width ≥ 1, got "
            f"{layers}, {depth} and {width}."
        )
    return ResNetEncoder(in_channels, BLOCKS[layers][: depth - 1], width)


class ResNetEncoder(PyramidEncoder):
    """From (b, in_channels, y, x) to features of the first convolution and of each layer."""

    first = "conv1.weight"

    def __init__(self, in_channels: int, blocks: tuple[int, ...], width: int) -> None:
        widths = [width * 2**n for n in range(len(blocks))]
        super().__init__([width, *widths], [2 ** (n + 1) for n in range(len(blocks) + 1)])
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for number, (outputs, count) in enumerate(zip(widths, blocks, strict=True), 1):
            made = [BasicBlock(inputs, outputs, 1 if number == 1 else 2)]
            made += [BasicBlock(outputs, outputs, 1) for _ in range(count - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*made))
            inputs = outputs
        self.apply(init_weights)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features, the finest first."""
        x = torch.relu_(self.bn1(self.conv1(x)))
        features = [x]
        for number in range(1, len(self.strides)):
            if number == 1:
                x = functional.max_pool2d(x, 3, stride=2, padding=1)
            x = self.get_submodule(f"layer{number}")(x)
            features.append(x)
        return features

    def lies_behind(self, key: str) -> bool:
        """The classifier, and layers beyond this encoder's depth."""
        room = key.partition(".")[0]
        return room in ("fc", *(f"layer{n}" for n in range(len(self.strides), 5)))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut, 1×1 where size or channels change."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, inputs, y, x) to (b, outputs, y / stride, x / stride)."""
        change = torch.relu_(self.bn1(self.conv1(x)))
        change = self.bn2(self.conv2(change))
        return torch.relu_(change + self.downsample(x))
