"""What a panel does as a recipe that Python and the command line run, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io.provenance import plain
from napari_tincture.raster import Raster
from napari_tincture.tasks.recipe import Recipe, as_image
from napari_tincture.worker.settings import JobSettings

USUAL = {"channels": "each", "nonfinite": "error"}
"""Arguments of `compare` that say nothing."""


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


def recipe_of_comparison(arguments: Mapping[str, Any]) -> Recipe:
    """A call of `compare` as a recipe.

    Parameters
    ----------
    arguments
        Of `compare`; "images" and "reference" and those that may be label images as rasters.

    Raises
    ------
    InputError
        If something of it is neither an image nor JSON, such as a Shapes layer.
    """
    given = dict(arguments)
    compared = given.pop("images")
    images = [as_image(image) for image in (*compared, given.pop("reference"))]
    settings: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Raster):
            settings["reference"] = {"source": len(compared)}
            settings[name] = {"source": len(images)}
            images.append(as_image(value))
        elif value is None or isinstance(value, str | bool | int | float | list | tuple | Mapping):
            if value not in (None, False) and value != USUAL.get(name):
                settings[name] = plain(value)
        else:
            raise InputError(
                f"{name} is {type(value).__name__}, which a recipe does not hold. Choose a grid, a "
                "Labels layer, or none."
            )
    return Recipe("compare", tuple(images), settings=settings)
