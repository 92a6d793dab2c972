"""Sizes of networks that every family offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

from napari_tincture.errors import InputError

Size = Literal["tiny", "standard", "large"]
"""For a CPU, as published, and for a large GPU."""
T = TypeVar("T")


def pick(size: str, presets: Mapping[Size, T]) -> T:
    """The preset of a size.

    Raises
    ------
    InputError
        If there is none; the message lists those there are.
    """
    for name, preset in presets.items():
        if name == size:
            return preset
    raise InputError(f"Unknown size {size!r}: choose one of {', '.join(presets)}.")
