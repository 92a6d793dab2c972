"""What is found out about networks, once for all that have one structure."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from torch import nn

from napari_tincture.models.registry import structure_of

T = TypeVar("T")
Modes = tuple[str, ...]
"""Names of the modules that learn."""


class OncePerStructure(Generic[T]):
    """Remembers by network, and by structure: a model is loaded, or filled as it learns, often."""

    def __init__(self) -> None:
        self._networks: weakref.WeakKeyDictionary[nn.Module, tuple[Modes, T]] = (
            weakref.WeakKeyDictionary()
        )
        self._structures: dict[tuple[str, Modes, int], T] = {}

    def of(self, network: nn.Module, channels: int, find: Callable[[], T]) -> T:
        """What is known of a network with that many input channels, or is found now."""
        modes = _modes(network)
        known = self._networks.get(network)
        if known is None or known[0] != modes:
            known = modes, self._of_structure(structure_of(network), modes, channels, find)
            self._networks[network] = known
        return known[1]

    def take(self, network: nn.Module, found: T) -> None:
        """Take what was found of a network of the same structure."""
        self._networks[network] = _modes(network), found

    def _of_structure(
        self, structure: str | None, modes: Modes, channels: int, find: Callable[[], T]
    ) -> T:
        if structure is None:
            return find()
        key = structure, modes, channels
        if key not in self._structures:
            self._structures[key] = find()
        return self._structures[key]


def _modes(network: nn.Module) -> Modes:
    # While it learns, a batch norm takes its statistics of the whole image, and dropout draws.
    return tuple(name for name, module in network.named_modules() if module.training)
