"""Fields of JSON objects that become dataclasses: which there are, and which must be there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from napari_tincture.errors import ModelError


def pair(values: Any) -> tuple[float, float]:
    """Two numbers of JSON."""
    low, high = values
    return float(low), float(high)


def read(what: str, kind: type, values: Any) -> Any:
    """Make a dataclass of a JSON object.

    Raises
    ------
    ModelError
        If it is none, or its fields are others.
    """
    if not isinstance(values, dict):
        raise ModelError(f"Expected a {what} as a JSON object, got {values!r}.")
    check_keys(what, values, kind)
    return kind(**values)


def check_keys(what: str, values: Mapping[str, Any], kind: type) -> None:
    """Raise `ModelError` unless values name all that a dataclass needs, and nothing else."""
    fields = dataclasses.fields(cast(Any, kind))
    known = {item.name for item in fields}
    needed = {
        item.name
        for item in fields
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }
    unknown, missing = sorted(set(values) - known), sorted(needed - set(values))
    if unknown:
        raise ModelError(
            f"The {what} has unknown fields: {', '.join(unknown)}. It was written by another "
            "release or is no napari-tincture model; update napari-tincture."
        )
    if missing:
        raise ModelError(f"The {what} lacks the fields {', '.join(missing)}.")


def check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ModelError` unless a value is one of the choices."""
    if value not in choices:
        raise ModelError(f"Unknown {what} {value!r}: choose one of {', '.join(choices)}.")
