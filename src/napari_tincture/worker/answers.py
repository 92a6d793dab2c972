"""What the worker answers at once, beside the jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.worker.sources import rebuild
from napari_tincture.worker.train_settings import TrainSettings
from napari_tincture.worker.wire import Message


def answer(question: Message) -> Any:
    """Answer a question.

    Returns
    -------
    JSON-able
        To "families": all that can be trained, see `training.families`. To "recipe", with settings
        and sources as a training has them: the complete recipe.
    """
    if question["what"] == "families":
        from napari_tincture.training.families import describe_families

        return describe_families()
    from napari_tincture.worker.training import described, make_recipe

    settings = TrainSettings.from_json(question["settings"])
    sources = [_unread(values, place) for place, values in enumerate(question["sources"])]
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
