"""Copies of a network with other tensors, or the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


def with_tensors(network: N, convert: Callable[[Tensor], Tensor]) -> N:
    """A copy whose parameters and buffers are those that `convert` gives.

    The network is left alone all the time, so that other threads can run it.
    """
    tensors = (*network.parameters(), *network.buffers())
    return copy.deepcopy(network, {id(tensor): convert(tensor) for tensor in tensors})


def sharing_weights(network: N) -> N:
    """A second network of the same tensors, which take no memory again."""
    return with_tensors(network, lambda tensor: tensor)
