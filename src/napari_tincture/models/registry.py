"""Which architectures there are: one file of this package each, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from napari_tincture.by_name import own_modules
from napari_tincture.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    Build = Callable[..., nn.Module]

ENTRY_POINT_GROUP = "napari_tincture.architectures"
# The files of this package that are no architecture.
_MACHINERY = frozenset(
    {
        "card", "checkpoints", "class_activation", "consent", "copies", "directions",
        "discriminators", "encoders", "evened", "fixed_size", "imported", "in_place", "inception",
        "label_maps", "layer_instance_norm", "lpips", "model", "normalisation", "opaque", "outputs",
        "packages", "pretrained", "programs", "published", "pyramid", "realism", "registry",
        "shipped", "spectral_norm", "statistics", "unet_blocks", "user_weights", "vgg", "weights",
    }
)  # fmt: skip


def architecture_names() -> tuple[str, ...]:
    """Names of all architectures, sorted; imports none of them, nor torch."""
    return tuple(sorted({*_own_names(), *_foreign()}))


def architectures() -> dict[str, Build]:
    """The ``build`` function of every architecture, by name; imports torch."""
    return {name: find_build(name) for name in architecture_names()}


def find_build(name: str, room: str = "") -> Build:
    """The function that builds a network of this architecture.

    Parameters
    ----------
    room
        "" for networks from image to image, else "discriminators" or "encoders".

    Raises
    ------
    ModelError
        If there is none; the message lists those there are.
    """
    if room:
        return _build_in(room, name)
    if name in _own_names():
        module = importlib.import_module(f"{__package__}.{name}")
        build: Build = module.build
        return build
    if name in _foreign():
        loaded: Build = _foreign()[name].load()
        return loaded
    raise ModelError(
        f"Unknown architecture {name!r}; known are {', '.join(architecture_names())}. "
        "Install the package that provides it, or update napari-tincture."
    )


def names_in(room: str) -> tuple[str, ...]:
    """Names of the architectures of "discriminators" or "encoders", sorted."""
    return tuple(sorted(own_modules(f"{__package__}.{room}", frozenset())))


def _build_in(room: str, name: str) -> Build:
    if name not in names_in(room):
        raise ModelError(
            f"Unknown {room[:-1]} {name!r}; known are {', '.join(names_in(room))}. "
            "Update napari-tincture."
        )
    module = importlib.import_module(f"{__package__}.{room}.{name}")
    build: Build = module.build
    return build


def room_of(part: str) -> str:
    """Where the architecture of a card's part is found, from the part's name."""
    role = part.partition("_")[0]
    return f"{role}s" if role in ("discriminator", "encoder") else ""


def build_network(name: str, options: Mapping[str, Any], room: str = "") -> nn.Module:
    """Build an architecture with a card's options, with fresh random weights."""
    try:
        return find_build(name, room)(**options)
    except TypeError as error:
        raise ModelError(
            f"Architecture {name!r} does not take the options {dict(options)}: {error}."
        ) from error


def _own_names() -> set[str]:
    return own_modules(__package__ or "", _MACHINERY)


def _foreign() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
