"""How a lazy result is made again in another process."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tincture.raster import Raster

TOGETHER = "*"
"""Picks the one raster that all results are parts of."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a task, with all that it was given.

    Attributes
    ----------
    task
        Name of a module and function of `napari_tincture.tasks`.
    image
        What it was called with.
    model
        The `Model`; one that was opened from a file is opened again, others travel.
    arguments
        Keyword arguments.
    pick
        Name of the result, where the task gives several; `TOGETHER` for all as one.
    """

    task: str
    image: Raster
    model: Any
    arguments: Mapping[str, Any]
    pick: str = ""

    def make(self) -> Raster:
        """Call the task again."""
        task = getattr(importlib.import_module(f"napari_tincture.tasks.{self.task}"), self.task)
        found = task(self.image, self.model, **self.arguments)
        if self.pick == TOGETHER:
            found = found.together
        result: Raster = found[self.pick] if self.pick not in ("", TOGETHER) else found
        return result


def make(call: Call, fields: Mapping[str, Any]) -> Raster:
    """Make a result again, with what was said of it since."""
    from dataclasses import replace

    return replace(call.make(), **fields)
