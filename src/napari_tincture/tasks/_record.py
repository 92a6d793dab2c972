"""What tasks write down about how a result is made: enough to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_tincture.io.open import open_image
from napari_tincture.io.provenance import described, extended
from napari_tincture.models import Model
from napari_tincture.models.shipped import shipped_folder
from napari_tincture.raster import Raster
from napari_tincture.tasks._region import as_region
from napari_tincture.tasks.channels import is_place


def record(
    task: str, image: Raster, model: Model, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[Raster, ...]]:
    """Describe a step before it is run; no pixel is read.

    Parameters
    ----------
    task
        Its name.
    image
        What it was given, before a region was cut out.
    model
        What it runs.
    settings
        Its other arguments as they were given, valid for image and model.

    Returns
    -------
    provenance, sources
        JSON-serialisable; and the images that its ``sources`` describe, for `completed`.
    """
    sources = [image]
    kept = dict(settings)
    if "channels" in kept:
        kept["channels"] = _channels(kept["channels"], sources)
    if "region" in kept:
        kept["region"] = as_region(kept["region"], image) or None
    if not isinstance(kept.get("context", ""), str):
        kept["context"] = "given"
    provenance = extended(
        image.provenance,
        task,
        model=model.card.name,
        architecture=model.card.architecture,
        weights=model.fingerprint,
        licence=model.card.licence,
        model_file=_file(model),
        image=image.name,
        sources=[described(source) for source in sources],
        settings=kept,
    )
    return provenance, tuple(sources)


def _channels(channels: Any, sources: list[Raster]) -> Any:
    """Spell the choice of channels as JSON; images among them are appended to `sources`."""
    if channels is None:
        return None
    if isinstance(channels, Mapping):
        return {name: _choice(choice, sources) for name, choice in channels.items()}
    return [_choice(choice, sources) for choice in channels]


def _choice(choice: Any, sources: list[Raster]) -> Any:
    image = sources[0]
    names = ("c", "z", *image.channels, *(image.display.get("planes") or ()))
    named = isinstance(choice, str) and choice in names
    if named or isinstance(choice, int | np.integer) or is_place(choice):
        return choice
    sources.append(open_image(choice))
    return {"source": len(sources) - 1}


def _file(model: Model) -> str | None:
    """Give the weight file of a model that has no name of its own."""
    if model.path is None or model.path.parent == shipped_folder():
        return None
    return str(model.path.absolute())
