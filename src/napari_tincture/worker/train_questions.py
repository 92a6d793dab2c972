"""What the Train panel asks: what can be trained, and recipes; no torch before it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.worker.sources import rebuild
from napari_tincture.worker.train_settings import TrainSettings


def families(_: Mapping[str, Any]) -> dict[str, Any]:
    """All that can be trained, as `training.families.describe_families` has it."""
    from napari_tincture.training.families import describe_families

    return {"families": describe_families()}


def recipe(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The complete recipe of a training's settings and sources."""
    from napari_tincture.worker.training import described, make_recipe

    settings = TrainSettings.from_json(fields["settings"])
    sources = [_unread(values, place) for place, values in enumerate(fields["sources"])]
    sides = {name: described(side, sources) for name, side in settings.sides.items()}
    return make_recipe(settings, sides).to_dict()


def _unread(values: Mapping[str, Any], place: int) -> Raster:
    """A source of which only shape and kind are of interest."""
    if "made" in values:
        raise InputError(
            f"{values['name']!r} is a live layer, which is computed elsewhere. Save it from its "
            "panel first."
        )

    def fetch(_: int, __: list[list[int]]) -> np.ndarray:
        raise InputError("No pixels are read for a recipe.")

    return rebuild(values, fetch, f"unread-{place}")
