"""What can be set of each family, as JSON: for whoever asks a person, and has no torch."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from napari_tincture.training.objective import Published, find_objective, objective_names
from napari_tincture.training.presets import preset
from napari_tincture.training.sizes import Size

CHANNELS = ("in_channels", "out_channels")
TAKEN = ("size", "img_size", "seed", *CHANNELS)
"""Arguments of a family that the preset, the crop, the schedule and the images decide."""
COARSE_TO_FINE = frozenset({"coarse_to_fine", "levels"})
"""Arguments of `presets.preset` that are about networks of families that need no pairs."""
_KINDS = {bool: "bool", int: "int", float: "float", str: "text"}


def describe_families() -> list[dict[str, Any]]:
    """All families, by their names.

    Returns
    -------
    list of dict
        "name", "title", "data", "labels", "synthesizes", "denoises" and "citation" as `Published`
        has them; "pairs" whether registered pairs may steer an unpaired training; "sizes": the
        recipe of each preset; "networks", "weights" and "options": what ``parts`` (beside
        `COARSE_TO_FINE`), ``Weights`` and ``build`` take, each as "name", "kind" ("bool", "int",
        "float", "text" or "choice"), "default", "choices" and "help".
    """
    return [describe_family(name) for name in objective_names()]


def describe_family(name: str) -> dict[str, Any]:
    """One family, as `describe_families` has it."""
    module = find_objective(name)
    published: Published = module.PUBLISHED
    coarse = _coarse_to_fine() if published.data == "unpaired" else []
    about = " ".join((module.Weights.__doc__ or "").split())
    weights = [_field(f.name, float, f.default) for f in dataclasses.fields(module.Weights)]
    return {
        "name": name,
        "title": published.title,
        "data": published.data,
        "labels": published.labels,
        "synthesizes": published.synthesizes,
        "denoises": published.denoises,
        "citation": published.citation,
        "pairs": any(field["name"].startswith("pair_") for field in weights),
        "sizes": {size: preset(name, size).to_dict() for size in get_args(Size)},
        "networks": [*_fields(module.parts), *coarse],
        "weights": [{**field, "help": about} for field in weights],
        "options": list(_fields(module.build)),
    }


def _fields(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    hints = get_type_hints(function)
    found = [
        _field(name, hints[name], parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in TAKEN and _known(hints[name])
    ]
    yield from _with_help(found, function.__doc__ or "")


def _coarse_to_fine() -> list[dict[str, Any]]:
    parameters, hints = inspect.signature(preset).parameters, get_type_hints(preset)
    found = [_field(name, hints[name], parameters[name].default) for name in sorted(COARSE_TO_FINE)]
    about = dict(_sections(inspect.cleandoc(preset.__doc__ or "")))["levels"]
    return [{**field, "help": about} for field in found]


def _known(kind: Any) -> bool:
    bare, _ = _without_none(kind)
    return bare in _KINDS or get_origin(bare) is Literal


def _field(name: str, kind: Any, default: Any) -> dict[str, Any]:
    bare, may_be_none = _without_none(kind)
    choices: list[Any] = []
    if get_origin(bare) is Literal:
        choices = list(get_args(bare))
    elif bare is bool and may_be_none:
        choices = [None, True, False]
    return {
        "name": name,
        "kind": "choice" if choices else _KINDS[bare],
        "default": default,
        "choices": choices,
        "help": "",
    }


def _without_none(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) not in (Union, UnionType):
        return kind, False
    others = [each for each in get_args(kind) if each is not NoneType]
    return others[0] if len(others) == 1 else kind, True


def _with_help(fields: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    said = dict(_sections(inspect.cleandoc(text)))
    return [{**field, "help": said.get(field["name"], "")} for field in fields]


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Names and explanations of a numpy-style docstring's parameters."""
    for names, said in re.findall(r"^(\w[\w, ]*)\n((?: {4}.*\n?|\n(?= {4}))+)", text, re.MULTILINE):
        for name in names.split(","):
            yield name.strip(), " ".join(said.split())


def changed_recipe(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's JSON with other values of `Schedule`, `Sampling`, `Augment` or its own fields.

    Parameters
    ----------
    changes
        By the names that `presets.preset` takes.
    """
    recipe: dict[str, Any] = {**base, "schedule": dict(base["schedule"])}
    recipe["sampling"] = {**base["sampling"], "augment": dict(base["sampling"]["augment"])}
    rooms = (recipe["schedule"], recipe["sampling"]["augment"], recipe["sampling"], recipe)
    for name, value in changes.items():
        for room in rooms:
            if name in room:
                room[name] = value
                break
        else:
            raise KeyError(name)
    if "seed" in changes:
        recipe["sampling"]["seed"] = changes["seed"]
    return recipe
