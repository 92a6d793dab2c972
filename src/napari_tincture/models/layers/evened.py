"""Discriminators whose score maps have the size of the image divided by their stride."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from napari_tincture.models.layers.spectral_norm import SpectralConv2d

PADS = (nn.ReflectionPad2d, nn.ReplicationPad2d, nn.ZeroPad2d)


def evened(network: nn.Module) -> nn.Module:
    """A copy that pads more at the far sides, so that no feature map is a pixel short.

    Discriminators of 4 × 4 kernels lose a pixel with every convolution of stride 1. Their maps
    then lie on no stride of the image, and what they reduce over the image cannot be added up
    from tiles. Padded by kernel size − stride, as much of it at the near side as before, each
    score sees what it saw, but for those within the field of view of the far border; there are
    as many more scores as were lacking.
    """
    even = copy.deepcopy(network)
    for layer in list(_convolutions(even)):
        if layer.pad is not None:
            layer.pad.padding = layer.sides
        elif layer.near != layer.far:
            layer.convolution.padding = (0, 0)
            padded = nn.Sequential(nn.ZeroPad2d(layer.sides), layer.convolution)
            setattr(layer.parent, layer.name, padded)
    return even


def drift(network: nn.Module, scales: int = 1) -> float:
    """How far scores lie before the middle of what they see, in pixels of the score map.

    Parameters
    ----------
    network
        As it was, not evened.
    scales
        How many equal networks it consists of, one after the other.
    """
    jump, total = 1, 0.0
    for layer in _first_scale(network, scales):
        total += ((layer.near + layer.far) / 2 - layer.near) * jump
        jump *= layer.stride
    return total / jump


def lost(network: nn.Module, scales: int = 1) -> int:
    """How many scores a network gives less along a side than its evened copy.

    Those that the copy has more, at the far sides, see little but padding.
    """
    lacking = 0.0
    for layer in _first_scale(network, scales):
        lacking = (lacking + layer.far - layer.near) / layer.stride
    return math.ceil(max(lacking, 0.0))


def _first_scale(network: nn.Module, scales: int) -> list[_Layer]:
    layers = list(_convolutions(network))
    return layers[: len(layers) // scales]


@dataclass(frozen=True, slots=True)
class _Layer:
    parent: nn.Module
    name: str
    convolution: Any
    pad: Any
    near: int
    kernel: int
    stride: int

    @property
    def far(self) -> int:
        return self.kernel - self.stride - self.near

    @property
    def sides(self) -> tuple[int, int, int, int]:
        return self.near, self.far, self.near, self.far


def _convolutions(network: nn.Module) -> Iterator[_Layer]:
    """All convolutions wider than their stride, with the padding layer before them."""
    pad = None
    for parent, name, module in _leaves(network):
        if isinstance(module, PADS):
            pad = module
        elif isinstance(module, nn.Conv2d | SpectralConv2d):
            kernel, stride, own = _geometry(module)
            explicit = pad if own == 0 else None
            near = own if explicit is None else int(explicit.padding[0])
            if kernel > stride:
                yield _Layer(parent, name, module, explicit, near, kernel, stride)
            pad = None


def _geometry(module: Any) -> tuple[int, int, int]:
    """Kernel size, stride and padding of a convolution."""
    if isinstance(module, SpectralConv2d):
        return module.weight_orig.shape[-1], module.stride, int(module.padding[0])
    return module.kernel_size[0], module.stride[0], int(module.padding[0])


def _leaves(network: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    for name, module in list(network.named_children()):
        if any(module.children()):
            yield from _leaves(module)
        else:
            yield network, name, module
