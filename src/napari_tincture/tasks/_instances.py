"""How objects are made of a model's maps."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from napari_tincture.errors import InputError, ModelError
from napari_tincture.instances import ROLES, label_instances
from napari_tincture.models.card import ModelCard

OBJECT_HALO = 96
"""Pixels segmented around a tile where nobody names the largest object."""
_PARAMETERS = frozenset(inspect.signature(label_instances).parameters) - {"outputs", "roles"}


def instance_step(
    card: ModelCard, given: Mapping[str, Any] | None, sizes: Mapping[str, int]
) -> tuple[Callable[..., Any], int]:
    """A function from maps (c, y, x) to objects (y, x), and the halo that it needs in pixels.

    Parameters
    ----------
    card
        Of the model; it may say how.
    given
        What is to be otherwise, or all where the card does not say: see `segment`.
    sizes
        Limits of an object's area in pixels.

    Raises
    ------
    ModelError
        If nobody says which map is of objects.
    InputError
        If `given` names what is none.
    """
    own = dict(card.instances or {})
    if given and any(role in given for role in ROLES):
        own = {key: value for key, value in own.items() if key not in ROLES}
    parameters = {**own, **(given or {}), **sizes}
    named = {role: parameters.pop(role) for role in ROLES if role in parameters}
    halo = int(parameters.pop("largest", OBJECT_HALO))
    if unknown := sorted(set(parameters) - _PARAMETERS):
        raise InputError(
            f"instances names {', '.join(unknown)}; expected {', '.join(ROLES)}, largest, "
            f"{', '.join(sorted(_PARAMETERS))}."
        )
    if not named and len(card.outputs) == 1:
        named = {"object": 0}
    if named:
        parameters["roles"] = _roles(card, named)
    elif card.instances is None:
        raise ModelError(
            f"Model {card.name!r} gives {_listed(card)} but no objects: its card names no instance "
            f"step. Say which map is of objects, such as instances={{'object': "
            f"{card.outputs[0].name!r}}}, or use output='classes' or 'probabilities'.",
            panel=f"The model gives {_listed(card)} but no objects. Choose which of them are "
            "objects, or another result.",
        )
    return partial(label_instances, **parameters), halo


def _roles(card: ModelCard, named: Mapping[str, Any]) -> tuple[str, ...]:
    """The role of every map; empty for those that have none."""
    names = [channel.name for channel in card.outputs]
    roles = [""] * len(names)
    for role, which in named.items():
        place = names.index(which) if which in names else which
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(names):
            raise InputError(
                f"instances: {role}={which!r} is no map of {card.name!r}, which gives "
                f"{_listed(card)}."
            )
        if roles[place]:
            raise InputError(
                f"instances: {names[place]!r} is named as {roles[place]} and as {role}; give each "
                "map one meaning."
            )
        roles[place] = role
    if "object" not in roles:
        raise InputError(f"instances names {', '.join(named)} but no map of objects, 'object'.")
    return tuple(roles)


def _listed(card: ModelCard) -> str:
    return ", ".join(channel.name for channel in card.outputs)
