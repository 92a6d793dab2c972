"""What plugins are given for a viewer."""

from __future__ import annotations

from typing import Any


def bare(viewer: Any) -> Any:
    """The viewer itself, where napari gave a plugin a proxy of it, whose layers are proxies too."""
    return getattr(viewer, "__wrapped__", viewer)
