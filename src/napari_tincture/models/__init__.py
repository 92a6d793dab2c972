"""Networks, their cards and their weights.

Names are imported on first use: cards and lists of models need no torch, networks do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tincture.models.card import Channel, ModelCard, Part
    from napari_tincture.models.model import Model
    from napari_tincture.models.normalisation import Normalisation
    from napari_tincture.models.registry import architecture_names, architectures
    from napari_tincture.models.shipped import find_card, list_models, load_model
    from napari_tincture.models.weights import read_card

_HOMES = {
    "Channel": "card",
    "Model": "model",
    "ModelCard": "card",
    "Normalisation": "normalisation",
    "Part": "card",
    "architecture_names": "registry",
    "architectures": "registry",
    "find_card": "shipped",
    "list_models": "shipped",
    "load_model": "shipped",
    "read_card": "weights",
}

__all__ = [
    "Channel",
    "Model",
    "ModelCard",
    "Normalisation",
    "Part",
    "architecture_names",
    "architectures",
    "find_card",
    "list_models",
    "load_model",
    "read_card",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
