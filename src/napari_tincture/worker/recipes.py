"""A panel's job as a recipe that Python and the command line run, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_tincture.raster import Raster
from napari_tincture.tasks.recipe import Recipe, as_image
from napari_tincture.worker.settings import JobSettings


def recipe_of(settings: JobSettings, sources: Sequence[Raster]) -> Recipe:
    """What a job does, as a recipe.

    Raises
    ------
    InputError
        If its task is one that recipes do not know.
    """
    images = [as_image(source) for source in sources]

    def choice(number: int, axis: str, index: int) -> Any:
        """Where an input of the model comes from, as tasks take it."""
        if number == 0:
            return [axis, index] if axis else 0
        images.append(as_image(sources[number].plane(**{axis: index}) if axis else sources[number]))
        return {"source": len(images) - 1}

    channels = settings.channels and [choice(*each) for each in settings.channels]
    kept: Mapping[str, Any] = {
        "channels": channels,
        "region": settings.region and {axis: list(span) for axis, span in settings.region.items()},
        "context": {"values": settings.values} if settings.values else _said(settings.context),
        "device": _said(settings.device),
        "precision": _said(settings.precision),
        **settings.options,
    }
    found = {name: value for name, value in kept.items() if value is not None}
    return Recipe(
        settings.task, tuple(images), settings.model, found, settings.save_to or "",
        settings.overwrite, settings.images or "",
    )  # fmt: skip


def _said(value: str) -> str | None:
    return None if value == "auto" else value
