"""Train a model from a recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import InputError
from napari_tincture.progress import CancelToken, Progress, as_callback

if TYPE_CHECKING:
    from os import PathLike

    from napari_tincture.models.model import Model
    from napari_tincture.training.control import Control, Hooks
    from napari_tincture.training.paired import Recipe


def train(
    recipe: Recipe | Mapping[str, Any] | str | PathLike[str],
    *,
    data: str | PathLike[str],
    out: str | PathLike[str],
    device: str = "cpu",
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    control: Control | None = None,
    hooks: Hooks | None = None,
) -> Model:
    """Run a recipe, or continue it where an earlier run stopped.

    Parameters
    ----------
    recipe
        A recipe, its JSON as a mapping, the path of a ``.json`` file, or a starter's name.
    data
        Folder that holds the folders which the recipe names.
    out
        ``.safetensors`` file to write. A checkpoint is kept beside it while training, so that
        the same call resumes; it stays afterwards, like the table ``.log.csv`` of losses, learning
        rates and figures.
    device
        Where to train: "cpu", "cuda", …
    progress
        True for a bar, or a callback with the finished and all steps.
    cancel
        Token that stops the training after the current step; what was learned up to the last
        checkpoint is kept.
    control
        Pauses the training, or ends it early with what was learned so far.
    hooks
        Called with the losses of every step, and with the networks every so many.

    Returns
    -------
    Model
        The model, with the figures of the recipe's test split on its card.

    Raises
    ------
    InputError
        The recipe or its data cannot be read, or the checkpoint is of another recipe.
    TrainingError
        A loss is no number any more; the last checkpoint is kept.
    OutputError
        The checkpoint cannot be written; the previous one is kept.
    Cancelled
        `cancel` was set.
    """
    from napari_tincture.training.run import run_recipe

    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    model, _ = run_recipe(
        _as_recipe(recipe),
        Path(data),
        target,
        checkpoint=target.with_suffix(".checkpoint"),
        device=device,
        progress=as_callback(progress),
        cancel=cancel,
        control=control,
        hooks=hooks,
    )
    return model


def _as_recipe(recipe: Recipe | Mapping[str, Any] | str | PathLike[str]) -> Recipe:
    from napari_tincture.training.paired import Recipe
    from napari_tincture.training.starters import STARTERS, read_recipe

    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        return Recipe.from_json(json.dumps(recipe))
    if str(recipe) not in STARTERS and not Path(recipe).is_file():
        raise InputError(
            f"There is no recipe {str(recipe)!r}: expected a .json file or one of "
            f"{', '.join(STARTERS)}."
        )
    return read_recipe(str(recipe))
