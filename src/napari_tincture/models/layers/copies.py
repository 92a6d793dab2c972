"""Copies of a network with other tensors, or the same."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn

from napari_tincture.models.layers.fixed_size import blanks, fixed_parts

N = TypeVar("N", bound=nn.Module)


def with_tensors(network: N, convert: Callable[[Tensor], Tensor]) -> N:
    """A copy whose parameters and buffers are those that `convert` gives.

    The network is left alone all the time, so that other threads can run it.
    """
    tensors = (*network.parameters(), *network.buffers())
    known: dict[int, Any] = {id(tensor): convert(tensor) for tensor in tensors}
    # A module holds a dozen dictionaries, most of them empty, which take long to copy.
    for module in network.modules():
        empty = (v for v in vars(module).values() if type(v) in (dict, OrderedDict) and not v)
        known |= {id(value): type(value)() for value in empty}
    return copy.deepcopy(network, known)


def stand_in(network: N, convert: Callable[[Tensor], Tensor]) -> N:
    """Such a copy to find out what the network does, at any size of the image.

    What works at one size only holds zeros: it is given to every tile, and reaches nowhere.
    """
    copied = with_tensors(network, convert)
    for part, blank in zip(fixed_parts(copied), blanks(copied), strict=True):
        part.held = blank
    return copied


def sharing_weights(network: N) -> N:
    """A second network of the same tensors, which take no memory again."""
    return with_tensors(network, lambda tensor: tensor)
