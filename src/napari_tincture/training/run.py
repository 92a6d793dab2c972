"""From a recipe to a finished weight file: train, measure, evaluate, save."""

from __future__ import annotations

import json
from pathlib import Path

from napari_tincture.models.model import Model
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.tiling.reach import with_reach
from napari_tincture.training.control import Control, Hooks
from napari_tincture.training.data import load_examples
from napari_tincture.training.evaluate import evaluate
from napari_tincture.training.paired import Recipe, train_paired


def run_recipe(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    control: Control | None = None,
    hooks: Hooks | None = None,
) -> tuple[Model, list[dict[str, float]]]:
    """Train or resume, then write the model with all that its card should say.

    Parameters
    ----------
    data
        Folder that holds the folders which the recipe names.
    out
        ``.safetensors`` file to write, in float16.
    checkpoint
        File to resume from and to save to; a finished one is only evaluated again.
    control, hooks
        Pause or end the training early, and watch it.

    Returns
    -------
    model, history
        The model with the figures of its test split, and those of validation on the way.
    """
    model, history = train_paired(
        recipe,
        data,
        checkpoint,
        device=device,
        progress=progress,
        cancel=cancel,
        control=control,
        hooks=hooks,
    )
    # The figures are those of the rounded weights that are shipped.
    model = Model.from_file(with_reach(model).save(out, half=True))
    model = with_figures(model, recipe, data, device)
    model.save(out, half=True)
    return model, history


def with_figures(model: Model, recipe: Recipe, data: Path, device: str = "cpu") -> Model:
    """The same model with the figures of the test split, and the recipe, on its card."""
    figures = evaluate(model, load_examples(recipe.data, data, "test"), device=device)
    figures.pop("score")
    steps = json.loads(recipe.to_json())
    del steps["card"]
    return model.with_card(model.card.replace(figures=figures, recipe=steps))
