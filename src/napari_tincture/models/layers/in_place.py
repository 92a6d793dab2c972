"""Activations that overwrite the map they are given, where nobody else reads it.

A ReLU into a new map costs nearly as much as the convolution before it, for memory that is
touched once more; in place it is almost free, and gives the same numbers.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.models.networks.resnet_generator import InstanceNorm

_MAKERS = (
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm2d,
    nn.InstanceNorm2d,
    InstanceNorm,
    nn.GroupNorm,
)
"""Modules that give a map of their own."""
_LEARNING = (nn.ReLU, nn.LeakyReLU)
"""Activations whose gradient can be told from their result."""
_ACTIVATIONS = (*_LEARNING, nn.ReLU6, nn.ELU, nn.SiLU, nn.Hardswish)


def activate_in_place(network: nn.Module, example: Tensor, *, learning: bool = False) -> int:
    """Let the activations of a network work in place, if that changes nothing.

    Those that follow a convolution or norm within an `nn.Sequential` are changed. A network may
    still keep the map before the activation, as one that taps features does; so the change is
    tried, and taken back unless every value of the output stays the same. A network whose state a
    forward pass changes, one in training mode, is tried as a copy.

    Parameters
    ----------
    network
        Changed in place; never trained afterwards, unless `learning`.
    example
        An input (b, c, y, x) that the network accepts.
    learning
        Whether the network will be trained.

    Returns
    -------
    int
        Number of activations changed.
    """
    kinds = _LEARNING if learning else _ACTIVATIONS
    found = _candidates(network, kinds)
    if not found:
        return 0
    trial = copy.deepcopy(network) if learning or network.training else network
    if learning:
        trial.eval()  # what dropout draws differs, however activations work
    same = _stays(trial, _candidates(trial, kinds), example)
    _set(found, same)
    return len(found) if same else 0


def _stays(network: nn.Module, found: list[nn.Module], example: Tensor) -> bool:
    """Whether these activations may work in place, as they do afterwards."""
    try:
        with torch.inference_mode():
            before = network(example.clone())
            _set(found, True)
            return _equal(before, network(example.clone()))
    except (RuntimeError, ValueError, TypeError, IndexError, MemoryError):
        return False  # what is wrong with the network shows when it is run


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple):
        return all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return isinstance(one, Tensor) and torch.equal(one, other)


def _set(found: list[nn.Module], in_place: bool) -> None:
    for activation in found:
        activation.inplace = in_place  # type: ignore[assignment]


def _candidates(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> list[nn.Module]:
    uses: dict[int, int] = {}
    for _, module in network.named_modules(remove_duplicate=False):
        uses[id(module)] = uses.get(id(module), 0) + 1
    return [
        second
        for sequence in network.modules()
        if type(sequence) is nn.Sequential
        for first, second in pairwise(sequence)
        if type(first) in _MAKERS
        and type(second) in kinds
        and not second.inplace
        and uses[id(second)] == 1
        and not first._forward_hooks
    ]
