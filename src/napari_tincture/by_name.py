"""Finding the files of a package by their names, without importing them."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from napari_tincture.errors import InputError


def own_modules(package: str, machinery: frozenset[str]) -> set[str]:
    """Names of a package's files, but for those that serve the others or begin with ``_``."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return {m.name for m in found if m.name not in machinery and not m.name.startswith("_")}


def find_metric_file(package: str, machinery: frozenset[str], name: str, what: str) -> Any:
    """Import the file of a name and give its ``METRIC``.

    Parameters
    ----------
    what
        Kind of metric, as people call it.

    Raises
    ------
    InputError
        If there is none; the message lists those there are.
    """
    known = sorted(own_modules(package, machinery))
    if name not in known:
        raise InputError(f"Unknown {what} {name!r}; known are {', '.join(known)}.")
    return importlib.import_module(f"{package}.{name}").METRIC
