"""Train a model from a recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import InputError
from napari_tincture.progress import CancelToken, Progress, as_callback

if TYPE_CHECKING:
    from os import PathLike

    from napari_tincture.models.model import Model
    from napari_tincture.training.control import Control, Hooks
    from napari_tincture.training.correction_set import Corrections
    from napari_tincture.training.run import AnyRecipe


def train(
    recipe: AnyRecipe | Model | Mapping[str, Any] | str | PathLike[str],
    *,
    data: str | PathLike[str] = ".",
    images: Mapping[str, Any] | None = None,
    corrections: str | PathLike[str] | Corrections | None = None,
    start: str | PathLike[str] | None = None,
    out: str | PathLike[str] | None = None,
    device: str = "auto",
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    control: Control | None = None,
    hooks: Hooks | None = None,
    fabric: Any = None,
) -> Model:
    """Run a recipe, or continue it where an earlier run stopped.

    Parameters
    ----------
    recipe
        A recipe (`napari_tincture.training.presets.preset` makes one), its JSON as a mapping, the
        path of a ``.json`` file, or a starter's name. Or a finished model of this package, as
        such or the path of its ``.safetensors`` file: its recipe goes on from its weights.
    data
        Folder that holds the files and folders which the recipe names.
    images
        Layers, rasters, arrays or paths instead: ``{"a": …, "b": …}`` for unpaired domains,
        ``{"pairs": {"a": …, "b": …}}`` for registered ones, or both, where a few pairs steer an
        unpaired training; ``{"image": …, "labels": …}`` for segmentation and SPADE, ``{"a": …}``
        for an autoencoder. Each may be a list, or a mapping with "images", "channels", "mask", ….
    corrections
        Folder that `correct` filled, or what it gave: what is marked there weighs more. The
        recipe then names the regions that there are now.
    start
        Name or path of a model whose weights the networks begin with, instead of random ones; of
        an autoencoder, or a torchvision file of ImageNet weights, those of the encoder.
    out
        ``.safetensors`` file to write; None: a new one among the user's own models, which panels
        and `list_models` offer. A checkpoint is kept beside it while training, so that
        the same call resumes; it stays afterwards, like the table ``.log.csv`` of losses, learning
        rates and figures.
    device
        Where to train: "auto" (the first CUDA device, else the CPU), "cpu", "cuda", …
    progress
        True for a bar, or a callback with the finished and all steps.
    cancel
        Token that stops the training after the current step; what was learned up to the last
        checkpoint is kept.
    control
        Pauses the training, or ends it early with what was learned so far.
    hooks
        Called with the losses of every step, and with the networks every so many.
    fabric
        Of `napari_tincture.training.fabric.start_fabric`, for several GPUs or nodes.

    Returns
    -------
    Model
        The model, with the figures of the recipe's test split on its card.

    Raises
    ------
    InputError
        The recipe or its data cannot be read, or do not fit each other.
    TrainingError
        A loss was not a number; the last checkpoint stays.
    OutputError
        The model or checkpoint cannot be written; the one before stays.
    Cancelled
        `cancel` was set.
    """
    from napari_tincture.device import resolve_device
    from napari_tincture.models.shipped import unused_path
    from napari_tincture.training.run import run_recipe
    from napari_tincture.training.translate import Run

    chosen = chosen_recipe(recipe)
    target = unused_path(chosen.name) if out is None else Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    run = Run(
        target.with_suffix(".checkpoint"), str(resolve_device(device)), as_callback(progress),
        cancel, control, hooks, fabric,
    )  # fmt: skip
    wanted = _with(chosen, corrections, start)
    model, _ = run_recipe(wanted, Path(data), target, run, images=images)
    return model


def _with(recipe: AnyRecipe, corrections: Any, start: Any) -> AnyRecipe:
    from napari_tincture.training.correction_set import pinned
    from napari_tincture.training.translation import TranslationRecipe

    if corrections is None and start is None:
        return recipe
    if not isinstance(recipe, TranslationRecipe):
        raise InputError(
            f"Recipe {recipe.name!r} names no family; only those that do learn from corrections or "
            "start from a model."
        )
    if start is not None:
        recipe = recipe.replace(start=os.fspath(start))
    if corrections is not None:
        folder = getattr(corrections, "folder", corrections)
        recipe = recipe.replace(data={**recipe.data, "corrections": pinned(folder)})
    return recipe


def chosen_recipe(recipe: AnyRecipe | Model | Mapping[str, Any] | str | PathLike[str]) -> AnyRecipe:
    """The recipe that somebody means by one of the things that `train` takes."""
    from napari_tincture.models.model import Model
    from napari_tincture.models.shipped import load_model
    from napari_tincture.training.paired import Recipe
    from napari_tincture.training.run import as_recipe
    from napari_tincture.training.starters import read_recipe, recipe_names
    from napari_tincture.training.starts import continued
    from napari_tincture.training.translation import TranslationRecipe

    if isinstance(recipe, Recipe | TranslationRecipe):
        return recipe
    if isinstance(recipe, Mapping):
        return as_recipe(recipe)
    if isinstance(recipe, Model) or str(recipe).endswith(".safetensors"):
        return continued(load_model(recipe))
    if str(recipe) not in recipe_names() and not Path(recipe).is_file():
        raise InputError(
            f"There is no recipe {str(recipe)!r}: expected a .json file or one of "
            f"{', '.join(recipe_names())}."
        )
    return read_recipe(str(recipe))
