"""What is found out about networks, once for all that have one structure."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from torch import nn

from napari_tincture.models.registry import structure_of

T = TypeVar("T")


class OncePerStructure(Generic[T]):
    """Remembers by network, and by structure: a model is loaded, or filled as it learns, often."""

    def __init__(self) -> None:
        self._networks: weakref.WeakKeyDictionary[nn.Module, T] = weakref.WeakKeyDictionary()
        self._structures: dict[tuple[str, int], T] = {}

    def of(self, network: nn.Module, channels: int, find: Callable[[], T]) -> T:
        """What is known of a network with that many input channels, or is found now."""
        if network not in self._networks:
            self._networks[network] = self._of_structure(structure_of(network), channels, find)
        return self._networks[network]

    def take(self, network: nn.Module, found: T) -> None:
        """Take what was found of a network of the same structure."""
        self._networks[network] = found

    def _of_structure(self, structure: str | None, channels: int, find: Callable[[], T]) -> T:
        if structure is None:
            return find()
        key = structure, channels
        if key not in self._structures:
            self._structures[key] = find()
        return self._structures[key]
