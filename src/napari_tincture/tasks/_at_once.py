"""Networks that make an image of a label map in one pass, tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_tincture.models.model import Model
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.raster import Raster
from napari_tincture.tasks._class_planes import as_image
from napari_tincture.tasks._label_source import LabelSource
from napari_tincture.tasks._run import make_job
from napari_tincture.tiling.result import as_raster

USUAL: Mapping[str, Any] = {
    "channels": None, "region": None, "context": "auto", "tile": "auto", "seams": "exact",
    "nonfinite": "error", "on_read_error": "stop", "pixel_size": "ignore",
}  # fmt: skip


def at_once(
    source: LabelSource, model: Model, settings: Mapping[str, Any], kind: np.dtype[Any]
) -> Raster:
    """A lazy image of a map, exact under tiling as far as the network is."""
    card = model.card
    inputs = tuple(replace(channel, source="image") for channel in card.inputs)
    as_stain = card.replace(task="stain", inputs=inputs, normalisation=Normalisation("none"))
    image = as_image(source)
    own = {name: settings[name] for name in ("device", "precision")}
    job = make_job(image, model.with_card(as_stain), {**USUAL, **own}, kind)
    name = f"{source.name} {card.name}".strip()
    return as_raster(job, image, name, {}, (source.labels,))
