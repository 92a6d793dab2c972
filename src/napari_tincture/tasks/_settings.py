"""What settings a task has, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_NOT_KEPT = {
    "image", "labels", "images", "maps", "reference", "model", "settings", "recipe", "out",
    "resume", "progress", "cancel", "client", "control", "hooks", "fabric",
}  # fmt: skip


def settings_of(task: str) -> tuple[str, ...]:
    """Names of the settings of a task."""
    found = [name for name in _parameters(task) if name not in _NOT_KEPT]
    if task == "make_dataset":  # what it does not take is drawn with
        found += [name for name in settings_of("synthesize") if name not in found]
    more = {"train": "recipe", "compare": "reference"}
    return (more[task], *found) if task in more else tuple(found)


def usual_settings(task: str) -> dict[str, Any]:
    """What settings are where nobody gives them, as far as the task's signature tells."""
    known = {name: value for name, value in _parameters(task).items() if value is not ...}
    if task == "make_dataset":
        known = {**usual_settings("synthesize"), **known}
    return {name: value for name, value in known.items() if name not in _NOT_KEPT}


@cache
def _parameters(task: str) -> Mapping[str, Any]:
    """Names and defaults of a task's parameters; ``...`` is a default that is no literal, or none.

    They are read, for importing a task takes seconds: it brings torch.
    """
    tree = ast.parse(files("napari_tincture.tasks").joinpath(f"{task}.py").read_text("utf-8"))
    # What comes before the last are overloads.
    *_, function = (
        each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == task
    )
    own = function.args
    placed = [*own.posonlyargs, *own.args]
    missing = len(placed) - len(own.defaults)
    defaults = [*[None] * missing, *own.defaults, *own.kw_defaults]
    return {
        parameter.arg: _literal(default)
        for parameter, default in zip([*placed, *own.kwonlyargs], defaults, strict=True)
    }


def _literal(node: ast.expr | None) -> Any:
    try:
        return ... if node is None else ast.literal_eval(node)
    except ValueError:
        return ...
