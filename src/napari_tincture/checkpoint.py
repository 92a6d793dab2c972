"""What an interrupted run left behind, and where it leaves more for the next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_tincture.arrays import Index
from napari_tincture.durable import write_json

Task = dict[str, Any]
"""A piece of a run that any process can do, JSON-serialisable; see `Runner.rounds`."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Given to a run that may be killed at any moment and continued by another process.

    Attributes
    ----------
    folder
        Exists until the result is complete; survives the process.
    areas
        Places of level 0 that are finished together, all of them, in the order in which they are
        wanted: whatever is computed in batches is computed in the same ones by every run.
    missing
        Those that are not finished.
    plan
        What the run that began the result decided (`Runner.freeze`), and this one must keep.
    """

    folder: Path
    areas: Sequence[Index]
    missing: Sequence[Index]
    plan: dict[str, Any] = field(default_factory=dict)

    def remember(self, name: str, facts: Any) -> None:
        """Keep a JSON-serialisable fact; when this returns it is on the disk."""
        write_json(self.folder / f"{name}.json", facts)

    def recall_all(self, prefix: str) -> list[Any]:
        """Give all facts whose names begin alike, in the order of their names."""
        return [self.recall(path.stem) for path in sorted(self.folder.glob(f"{prefix}*.json"))]

    def recall(self, name: str) -> Any:
        """Give a fact that was kept, or None."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else None
