"""Recipes that tests can afford to train, and images for them."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.card import Part
from napari_tincture.raster import Raster
from napari_tincture.training.networks import check_crops
from napari_tincture.training.objective import find_objective
from napari_tincture.training.presets import preset
from napari_tincture.training.translation import TranslationRecipe

NARROW = {
    "ngf": 2, "ndf": 2, "ch": 2, "n_blocks": 1, "n_res": 1, "width": 4, "max_width": 8, "depth": 2,
    "num_downs": 5, "n_blocks_global": 1, "n_downsample_global": 2, "nrb_low": 1, "nrb_high": 1,
}  # fmt: skip
"""Options of which networks become small, whatever their architecture."""


def narrowed(recipe: TranslationRecipe) -> TranslationRecipe:
    """The recipe with narrow and shallow networks."""
    networks = {
        name: Part(part.architecture, {k: NARROW.get(k, v) for k, v in part.options.items()})
        for name, part in recipe.networks.items()
    }
    return recipe.replace(networks=networks)


def small_recipe(family: str, **changes: Any) -> TranslationRecipe:
    """Three steps on the smallest crops that the family's networks take."""
    settings = {"steps": 3, "save_every": 2, "validate_every": 2, **changes}
    if "scales" in inspect.signature(find_objective(family).parts).parameters:
        settings.setdefault("networks", {"scales": 1})
    crops = [settings.pop("crop")] if "crop" in settings else [32, 64]
    for crop in crops:
        recipe = narrowed(preset(family, "tiny", crop=crop, **settings))
        try:
            check_crops(recipe)
        except InputError:
            continue
        return recipe
    raise AssertionError(f"{family} takes no crops of {crops}")


def fields(count: int, shape: tuple[int, ...] = (3, 72, 90), seed: int = 0) -> list[Raster]:
    """Smooth colour images, each another one."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    found = []
    for number in range(count):
        phase = rng.uniform(0, 6, (shape[0], 1, 1))
        values = 0.5 + 0.3 * np.sin(y / 9 + phase) * np.cos(x / 7 - phase)
        values = values + rng.uniform(-0.15, 0.15, shape)
        image = open_image((values * 255).astype(np.uint8), axes="cyx")
        found.append(replace(image, name=f"field-{number}"))
    return found


def labels_of(image: Raster) -> Raster:
    """Three classes, dark, middle and bright, with the values 1, 4 and 9."""
    values = np.asarray(image)[0]
    classes = np.array([1, 4, 9], np.uint8)[np.digitize(values, [100, 160])]
    return replace(open_image(classes, axes="yx"), name=image.name)


def images_for(recipe: TranslationRecipe, count: int = 3, **options: Any) -> dict[str, Any]:
    """What `open_material` takes: pairs for a family that needs them, else one or two domains."""
    if recipe.published.labels:
        images = fields(count, seed=1, **options)
        return {"image": images, "labels": [labels_of(image) for image in images]}
    if recipe.published.data == "images":
        return {"a": fields(count, seed=1, **options)}
    a, b = fields(count, seed=1, **options), fields(count, seed=2, **options)
    return {"pairs": {"a": a, "b": b}} if recipe.published.data == "paired" else {"a": a, "b": b}


def batch_of(recipe: TranslationRecipe, names: str = "ab", seed: int = 0) -> dict[str, Any]:
    """Random images of the recipe's crops, three channels each."""
    draws = torch.Generator().manual_seed(seed)
    side = recipe.sampling.crop
    return {name: torch.rand(1, 3, side, side, generator=draws) * 2 - 1 for name in names}
