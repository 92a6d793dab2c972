"""Trainings of benchmarks: begun, gone on with, and kept once they are finished."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import napari_tincture as nt
from napari_tincture.progress import CancelToken
from napari_tincture.training.control import Control
from napari_tincture.training.translation import TranslationRecipe


class Unfinished(Exception):
    """Time is up; the same command goes on."""


def trained(
    recipe: TranslationRecipe, folder: Path, deadline: float, device: str, data: Path | None = None
) -> Path:
    """The finished model of a recipe, which is trained, or trained further, unless it is there.

    Parameters
    ----------
    folder
        Where model, checkpoint and log are kept.
    deadline
        Of `time.monotonic`.
    data
        What the recipe's paths are relative to; None: the working directory.

    Raises
    ------
    Unfinished
        If time is up before; what was learned is kept.
    """
    out = model_file(folder, recipe.name)
    if out.is_file():
        return out
    folder.mkdir(parents=True, exist_ok=True)
    control, cancel = Control(), CancelToken()

    def tick(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"{recipe.name}: {done} of {total}", file=sys.stderr, flush=True)
        if time.monotonic() > deadline:
            cancel.cancel()

    try:
        nt.train(
            recipe.to_dict(), data=data or ".", out=out, device=device, progress=tick,
            control=control, cancel=cancel,
        )  # fmt: skip
    except nt.Cancelled:
        raise Unfinished(f"{recipe.name} is not finished; the same command goes on.") from None
    return out


def model_file(folder: Path, name: str) -> Path:
    """Where the model of a name is kept."""
    return folder / f"{name.replace(' ', '-')}.safetensors"
