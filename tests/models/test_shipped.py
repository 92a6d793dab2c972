from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import napari_tincture as nt
from napari_tincture.models import find_card, list_models, load_model
from napari_tincture.models.shipped import shipped_folder
from napari_tincture.training.paired import Recipe
from napari_tincture.training.run import as_recipe
from napari_tincture.training.starters import STARTERS, read_recipe


def test_the_starters_are_listed_by_name() -> None:
    names = [card.name for card in list_models()]
    assert names == sorted(names)
    assert set(STARTERS) <= set(names)


def test_the_budget_is_kept() -> None:
    assert sum(path.stat().st_size for path in shipped_folder().iterdir()) < 30e6


@pytest.mark.parametrize("name", STARTERS)
def test_cards_tell_where_the_weights_come_from(name: str) -> None:
    card = find_card(name)
    for text in (card.description, card.licence, card.data, card.split, card.citation):
        assert text
    recipe = read_recipe(name)
    described = json.loads(recipe.to_json())["card"]
    known = {"card": described} if isinstance(recipe, Recipe) else {}
    # The card says what was done; the recipe may leave the precision to the device.
    schedule = {**card.recipe["schedule"], "precision": recipe.schedule.precision}
    assert as_recipe({**card.recipe, **known, "schedule": schedule}) == recipe
    assert recipe.schedule.precision in ("auto", card.recipe["schedule"]["precision"])
    assert card.stride
    if card.denoising is None:
        assert card.exact
        assert card.halo


@pytest.mark.parametrize(
    ("name", "figures"),
    [("phase-to-dapi", {"pearson", "ssim", "psnr"}), ("nuclei", {"f1_50", "f1", "ap_50", "ap"})],
)
def test_cards_give_the_figures_of_the_test_split(name: str, figures: set[str]) -> None:
    assert figures <= set(find_card(name).figures)


@pytest.mark.parametrize("name", STARTERS)
def test_shipped_weights_run(name: str) -> None:
    model = load_model(name)
    if model.card.task == "synthesize":
        drawn = np.asarray(nt.synthesize(np.eye(37, 50, dtype=np.uint8), model, steps=2))
        assert drawn.shape == ((3,) if model.card.rgb_output else ()) + (37, 50)
        assert drawn.std() > 10
        return
    image = torch.randint(0, 255, (1, len(model.card.inputs), 37, 50), dtype=torch.uint8)
    result = model.predict(image)
    assert result.shape == (1, len(model.card.outputs), 37, 50)
    assert bool(result.isfinite().all())
