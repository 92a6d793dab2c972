"""From corrections to the next training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.models.shipped import find_card, find_model
from napari_tincture.training.correction_set import pinned
from napari_tincture.widgets.train import TrainPanel


def train_again(viewer: Any, model: str, folder: Path) -> dict[str, Any]:
    """Let the user train a model further, with what was stored of its stains.

    Returns
    -------
    dict
        The recipe, as JSON has it, which the Train panel shows.

    Raises
    ------
    InputError
        If the model keeps no recipe, or there are no corrections.
    """
    recipe = recipe_to_go_on(model, folder)
    open_recipe(viewer, recipe)
    return recipe


def recipe_to_go_on(model: str, folder: Path) -> dict[str, Any]:
    """The model's own recipe, starting from its weights, with all corrections of a folder.

    Raises
    ------
    InputError
        If the model keeps no recipe, or there are no corrections.
    """
    card = find_card(model)
    if not card.recipe.get("family"):
        raise InputError(
            f"Model {card.name!r} keeps no recipe to go on with: it was trained elsewhere. Train "
            "one of its kind that starts from it: napari_tincture.train(preset(…), start=…)."
        )
    data = {**card.recipe.get("data", {}), "corrections": pinned(folder)}
    return {**card.recipe, "data": data, "start": str(find_model(model).absolute())}


def open_recipe(viewer: Any, recipe: Mapping[str, Any]) -> TrainPanel:
    """Show a recipe (JSON) in the viewer's Train panel, which is opened if there is none.

    Its images are chosen as far as the recipe names them, or they were those of a training of
    this name and their layers are still there.
    """
    open_panels = viewer.window._qt_window.findChildren(TrainPanel)
    panel = open_panels[0] if open_panels else TrainPanel(viewer)
    if not open_panels:
        viewer.window.add_dock_widget(panel, name="Train")
    panel.take(recipe)
    panel.show()
    panel.raise_()
    return panel
