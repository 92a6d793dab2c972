"""Tasks by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster

Task = Callable[..., Raster]


def find_task(name: str) -> Task:
    """Find a task by its name: the function of that name in its module of the same name.

    Raises
    ------
    InputError
        If there is none.
    """
    path = f"napari_tincture.tasks.{name}"
    try:
        task: Any = getattr(importlib.import_module(path), name, None)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        task = None
    if not callable(task):
        raise InputError(f"There is no task {name!r}; expected e.g. 'stain'.")
    return task  # type: ignore[no-any-return]
