"""From a recipe to a finished weight file: train, measure, evaluate, save."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tincture.models.model import Model
from napari_tincture.tiling.reach import with_reach
from napari_tincture.training.corrections import corrected, open_lessons
from napari_tincture.training.data import load_examples
from napari_tincture.training.evaluate import evaluate
from napari_tincture.training.images.material import open_material
from napari_tincture.training.paired import Recipe, train_paired
from napari_tincture.training.translate import Run, train_translation
from napari_tincture.training.translation import TranslationRecipe

AnyRecipe = Recipe | TranslationRecipe


def as_recipe(values: Mapping[str, Any]) -> AnyRecipe:
    """Read a recipe of either kind: those that name a family translate images.

    Raises
    ------
    InputError
        If it is neither.
    """
    if "family" in values:
        return TranslationRecipe.from_dict(values)
    return Recipe.from_json(json.dumps(values))


def run_recipe(
    recipe: AnyRecipe,
    data: Path,
    out: Path,
    run: Run,
    *,
    images: Mapping[str, Any] | None = None,
    half: bool = False,
) -> tuple[Model, list[dict[str, float]]]:
    """Train or resume, then write the model with all that its card should say.

    Parameters
    ----------
    data
        Folder that holds the folders which the recipe names.
    out
        ``.safetensors`` file to write.
    run
        Where, from which checkpoint (a finished one is only evaluated again), and who is told.
    images
        Instead of files that a translation's recipe names, see `open_material`.
    half
        Store float16.

    Returns
    -------
    model, history
        The model with the figures of its test split, and those of validation on the way.
    """
    if isinstance(recipe, TranslationRecipe):
        material = open_material(recipe, data, images)
        if "corrections" in recipe.data:
            material = corrected(material, open_lessons(recipe.data["corrections"], data))
        model, history = train_translation(recipe, material, run)
        return Model.from_file(model.save(out, half=half)), history
    model, history = train_paired(
        recipe, data, run.checkpoint, device=run.device, progress=run.progress, cancel=run.cancel,
        control=run.control, hooks=run.hooks, fabric=run.fabric,
    )  # fmt: skip
    # The figures are those of the rounded weights that are shipped.
    model = Model.from_file(with_reach(model).save(out, half=half))
    model = with_figures(model, recipe, data, run.device)
    model.save(out, half=half)
    return model, history


def with_figures(model: Model, recipe: Recipe, data: Path, device: str = "cpu") -> Model:
    """The same model with the figures of the test split, and the recipe, on its card."""
    figures = evaluate(model, load_examples(recipe.data, data, "test"), device=device)
    figures.pop("score")
    steps = json.loads(recipe.to_json())
    del steps["card"]
    return model.with_card(model.card.replace(figures=figures, recipe=steps))
