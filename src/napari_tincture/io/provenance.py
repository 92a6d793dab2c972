"""How a raster was made, as JSON that travels with it into layers and files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any

import numpy as np


def extended(provenance: Mapping[str, Any], step: str, **facts: Any) -> dict[str, Any]:
    """Add a step to a provenance.

    Parameters
    ----------
    provenance : mapping
        That of the raster the step started from; may be empty.
    step : str
        What was done: ``stain``, ``segment``, …
    **facts
        Everything needed to do it again; numpy values, paths and tuples become plain JSON.

    Returns
    -------
    dict
        ``{"software": "napari-tincture 0.1.0", "steps": [{"step": ..., **facts}]}`` and whatever
        else the given provenance holds.
    """
    steps = [*provenance.get("steps", []), {"step": step, **plain(facts)}]
    return {**plain(provenance), "software": software(), "steps": plain(steps)}


def software() -> str:
    """Name this package and its version."""
    try:
        return f"napari-tincture {version('napari-tincture')}"
    except PackageNotFoundError:
        return "napari-tincture"


def plain(value: Any) -> Any:
    """Turn a value into strict JSON types; NaN and infinity become text, as JSON has none."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value) if not isinstance(value, PurePath) else value.as_posix()
