"""A worker whose tasks do what the tests need; run as a script.

Everything but the tasks and the model is the real worker.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_tincture import models
from napari_tincture.errors import InputError
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.runner import Write
from napari_tincture.worker import server, work


class Card:
    image_inputs = ("input",)


class FakeModel:
    card = Card()


class Runner:
    """Streams rows; `between` is called before each."""

    def __init__(self, image: Raster, between: Callable[[int], None]) -> None:
        self.image, self.between = image, between

    def stream(
        self, write: Write, progress: Progress, cancel: CancelToken, checkpoint: Any = None
    ) -> Mapping[str, Any] | None:
        rows = self.image.sizes["y"]
        for row in range(rows):
            cancel.check()
            self.between(row)
            index = tuple(
                slice(row, row + 1) if axis == "y" else slice(0, size)
                for axis, size in self.image.sizes.items()
            )
            write(index, self.image.read(index) * 2)
            progress(row + 1, rows)
        return {"rows": rows}


def double(image: Raster, model: FakeModel, *, region: Any = None, **settings: Any) -> Raster:
    """Twice the image, by dask."""
    if region is not None:
        image = image.crop({axis: slice(*bounds) for axis, bounds in region.items()})
    levels = tuple(level * 2 for level in image.levels)
    return replace(image, levels=levels, name=f"twice {image.name}", source=None)


def streamed(between: Callable[[int], None]) -> Callable[..., Raster]:
    def task(image: Raster, model: FakeModel, **settings: Any) -> Raster:
        return replace(image, runner=Runner(image, between), source=None)

    return task


def refuse(image: Raster, model: FakeModel, **settings: Any) -> Raster:
    raise InputError("Three channels were expected, one came; choose another layer.")


def break_down(image: Raster, model: FakeModel, **settings: Any) -> Raster:
    raise ZeroDivisionError("a mistake in the program")


def warn(image: Raster, model: FakeModel, **settings: Any) -> Raster:
    warnings.warn_explicit("halved", UserWarning, work.__file__, 1)
    return double(image, model)


def die_in_third_row(row: int) -> None:
    if row == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def hang_in_third_row(row: int) -> None:
    if row == 2:
        threading.Event().wait()


TASKS: dict[str, Callable[..., Raster]] = {
    "double": double,
    "rows": streamed(lambda row: None),
    "endless": streamed(lambda row: threading.Event().wait(0.01)),
    "die": streamed(die_in_third_row),
    "hang": streamed(hang_in_third_row),
    "refuse": refuse,
    "break_down": break_down,
    "warn": warn,
}

if __name__ == "__main__":
    for name, task in TASKS.items():
        module = types.ModuleType(f"napari_tincture.tasks.{name}")
        setattr(module, name, task)
        sys.modules[module.__name__] = module
    # Without torch it starts in no time.
    work.available_devices = lambda: ("cpu",)
    work.describe_device = lambda name: f"the {name}"  # type: ignore[assignment]
    models.load_model = lambda name: FakeModel()  # type: ignore[assignment]
    if "broken" in sys.argv:
        work.available_devices = lambda: 1 // 0
    print(np.__version__)  # what a task prints must not disturb the connection
    raise SystemExit(server.main())
