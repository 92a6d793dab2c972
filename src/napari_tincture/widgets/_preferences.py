"""What panels begin with: napari's preferences of this plugin, or environment variables.

napari shows the manifest's ``configurations`` under *File › Preferences* from 0.9 on. Before, and
where napari's preference was left as it is, variables such as ``NAPARI_TINCTURE_DEVICE`` say it.
"""

from __future__ import annotations

import os
from typing import Any

from napari_tincture.io.tile_cache import SIZE_VARIABLE, VARIABLE

PLUGIN = "napari-tincture"
USUAL = {"device": "auto", "precision": "auto", "output": "memory"}
WORDS = {"in memory": "memory", "file on disk": "file", "live": "live"}
"""How the preference of the output is read, and what it stands for."""


def preferred() -> dict[str, str]:
    """Device, precision and output (``"memory"``, ``"file"`` or ``"live"``) of a new panel."""
    chosen = {name: str(value) for name, value in _of_napari("running").items()}
    found = {}
    for name, usual in USUAL.items():
        value = chosen.get(name, usual)
        value = WORDS.get(value, value)
        found[name] = value if value != usual else os.environ.get(_variable(name)) or usual
    return found


def apply_cache() -> None:
    """Let workers that start from now on keep their tiles where, and as much as, is preferred.

    What the environment says already stays.
    """
    chosen = _of_napari("cache")
    if folder := str(chosen.get("folder", "")).strip():
        os.environ.setdefault(VARIABLE, folder)
    if gigabytes := chosen.get("gigabytes"):
        os.environ.setdefault(SIZE_VARIABLE, str(gigabytes))


def _of_napari(part: str) -> dict[str, Any]:
    """What napari keeps of a part of the manifest's configurations; empty if it keeps none."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari before 0.9
        return {}
    try:
        kept = getattr(get_plugin_settings(PLUGIN), part)
    except (KeyError, AttributeError):  # the plugin is not installed as one
        return {}
    found: dict[str, Any] = kept.model_dump()
    return found


def _variable(name: str) -> str:
    return f"NAPARI_TINCTURE_{name.upper()}"
