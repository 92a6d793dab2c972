"""Settings of closed panels, for when they are opened again in the same session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEPT: dict[str, dict[str, Any]] = {}


def keep(task: str, values: Mapping[str, Any]) -> None:
    """Remember a panel's settings under the name of its task."""
    _KEPT[task] = dict(values)


def kept(task: str) -> dict[str, Any]:
    """Give what was remembered for a task; empty at first."""
    return dict(_KEPT.get(task, {}))


def forget() -> None:
    """Start afresh, as a new session does."""
    _KEPT.clear()
