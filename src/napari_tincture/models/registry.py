"""Which architectures there are: one file each, found by its name in the room of its role."""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from napari_tincture.by_name import own_modules
from napari_tincture.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    Build = Callable[..., nn.Module]

ENTRY_POINT_GROUP = "napari_tincture.architectures"
ROOM = "networks"
"""Where networks from image to image are."""
DENOISERS = "denoisers"
"""Where networks are that take a noisy image, how noisy it is, and what it should show."""
_BUILT: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary()
"""How the networks of our architectures were built."""


def architecture_names() -> tuple[str, ...]:
    """Names of all architectures, sorted; imports none of them, nor torch."""
    return tuple(sorted({*names_in(ROOM), *_foreign()}))


def architectures() -> dict[str, Build]:
    """The ``build`` function of every architecture, by name; imports torch."""
    return {name: find_build(name) for name in architecture_names()}


def names_in(room: str) -> tuple[str, ...]:
    """Names of the files of "networks", "denoisers", "discriminators" or "encoders", sorted."""
    return tuple(sorted(own_modules(f"{__package__}.{room}", frozenset())))


def room_of(part: str, denoises: bool = False) -> str:
    """Where the architecture of a card's part is found, from the part's name.

    Parameters
    ----------
    denoises
        Whether the card's own network is a denoiser.
    """
    role = part.partition("_")[0]
    if role in ("discriminator", "encoder"):
        return f"{role}s"
    return DENOISERS if denoises else ROOM


def find_build(name: str, room: str = ROOM) -> Build:
    """The function that builds a network of this architecture.

    Parameters
    ----------
    room
        "networks", "denoisers", "discriminators" or "encoders".

    Raises
    ------
    ModelError
        If there is none; the message lists those there are.
    """
    if name in names_in(room):
        build: Build = importlib.import_module(import_path(name, room)).build
        return build
    if room != ROOM:
        raise ModelError(
            f"Unknown {room[:-1]} {name!r}; known are {', '.join(names_in(room))}. "
            "Update napari-tincture."
        )
    if name in _foreign():
        loaded: Build = _foreign()[name].load()
        return loaded
    raise ModelError(
        f"Unknown architecture {name!r}; known are {', '.join(architecture_names())}. "
        "Install the package that provides it, or update napari-tincture."
    )


def import_path(name: str, room: str = ROOM) -> str:
    """Of one of the package's own architectures."""
    return f"{__package__}.{room}.{name}"


def build_network(
    name: str, options: Mapping[str, Any], room: str = ROOM, *, filled: bool = True
) -> nn.Module:
    """Build an architecture with a card's options, with fresh random weights.

    Parameters
    ----------
    filled
        False leaves weights unset, which are to be loaded: drawing those of large networks takes
        longer than reading them.
    """
    from napari_tincture.models.unfilled import Unfilled

    build = find_build(name, room)
    try:
        with nullcontext() if filled else Unfilled():
            network = build(**options)
    except TypeError as error:
        raise ModelError(
            f"Architecture {name!r} does not take the options {dict(options)}: {error}."
        ) from error
    if name in names_in(room):
        _BUILT[network] = f"{room} {name} {sorted(options.items())}"
    return network


def structure_of(network: nn.Module) -> str | None:
    """What two networks have in common that differ in their weights alone.

    None if it is of no architecture of ours: only its own code knows then what it does.
    """
    built = _BUILT.get(network)
    # What was exchanged or taken off since then shows.
    return None if built is None else f"{built} {network!r}"


def _foreign() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
