"""Recipes of any family with networks that tests can afford to train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from napari_tincture.training.objective import find_objective, objective_names
from napari_tincture.training.presets import preset
from napari_tincture.training.translation import TranslationRecipe

UNPAIRED = [n for n in objective_names() if find_objective(n).PUBLISHED.data == "unpaired"]
NARROW = {
    "ngf": 2, "ndf": 2, "ch": 2, "width": 4, "n_blocks": 1, "n_res": 1, "n_blocks_local": 1,
    "n_blocks_global": 1, "nrb_low": 1, "nrb_high": 1,
}  # fmt: skip


def narrow(family: str, crop: int = 64, **settings: Any) -> TranslationRecipe:
    """A family's tiny preset on small crops, with narrow and shallow networks."""
    scales = {"scales": 1, **settings.pop("networks", {})}
    recipe = preset(family, "tiny", crop=crop, networks=scales, **settings)
    parts = {n: replace(p, options=_narrowed(p.options)) for n, p in recipe.networks.items()}
    return recipe.replace(networks=parts)


def _narrowed(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _narrowed(value) if isinstance(value, Mapping) else NARROW.get(key, value)
        for key, value in options.items()
    }


def batch_of(step: int, side: int = 64) -> dict[str, Tensor]:
    """The batch of a step: smooth random images of both domains."""
    draws = torch.Generator().manual_seed(step)
    images = torch.rand(2, 1, 3, side // 8, side // 8, generator=draws) * 2 - 1
    a, b = (torch.nn.functional.interpolate(image, scale_factor=8.0) for image in images)
    return {"a": a, "b": -b}
