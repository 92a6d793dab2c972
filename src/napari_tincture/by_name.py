"""Finding the files of a package by their names, without importing them."""

from __future__ import annotations

import importlib
import pkgutil


def own_modules(package: str, machinery: frozenset[str]) -> set[str]:
    """Names of a package's files, but for those that serve the others or begin with ``_``."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return {m.name for m in found if m.name not in machinery and not m.name.startswith("_")}
