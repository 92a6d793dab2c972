"""A note where a layer is unlike what the model has learned from, as far as that costs nothing."""

from __future__ import annotations

import math
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_tincture.arrays import memory_of
from napari_tincture.models.card import ModelCard
from napari_tincture.models.statistics import out_of_range
from napari_tincture.raster import Raster
from napari_tincture.tasks.channels import map_channels
from napari_tincture.tiling.inputs import Inputs, Lane

PIXELS = 2**18
"""Values of a channel that are looked at, at most."""
LARGEST = 2**24
"""Pixels of a plane that may be looked at."""
_KNOWN: WeakKeyDictionary[Any, dict[Any, str | None]] = WeakKeyDictionary()


def unlike_note(layer: Any, inputs: Inputs, card: ModelCard) -> str:
    """Say how a layer's values differ from those of the training images; empty if they do not.

    Only values in memory and of samples are looked at, each layer once per model and choice of
    channels; what lies on disk is looked at when it is run.
    """
    return _note(layer, inputs, card) or ""


def _note(layer: Any, inputs: Inputs, card: ModelCard) -> str | None:
    """The note; None if nobody knows what the model was trained on, or what the values are."""
    lanes = inputs.lanes[: len(card.image_inputs)]
    if len(card.training_statistics.get("channels", ())) != len(lanes):
        return None
    # A layer's data may be replaced; its attributes are no key.
    known = _KNOWN.setdefault(layer, {})
    key = (id(layer.data), card.name, tuple(tuple(lane.at.items()) for lane in lanes))
    if key not in known:
        values = [_values(lane) for lane in lanes]
        known[key] = None
        if all(value is not None for value in values):
            stacked = np.stack([value.ravel() for value in values if value is not None])
            known[key] = out_of_range(card.training_statistics, stacked) or ""
    return known[key]


def likeness(layer: Any, image: Raster, card: ModelCard) -> int:
    """2 if a layer's values are those of a model's training images, 0 if not, 1 if nobody knows."""
    note = _note(layer, map_channels(image, card), card)
    return 1 if note is None else 0 if note else 2


def _values(lane: Lane) -> np.ndarray | None:
    """The middle plane of a channel, thinned out; None if it is not at hand."""
    raster = lane.raster
    arrays = [memory_of(level) for level in raster.levels]
    found: Any = next((array for array in reversed(arrays) if array is not None), None)
    if found is None and raster.source is not None and raster.source.kind == "sample":
        found = raster.levels[-1]
    if found is None or found.shape[-1] * found.shape[-2] > LARGEST:
        return None
    at = {axis: size // 2 for axis, size in zip(raster.axes, found.shape, strict=True)}
    at |= dict(lane.at)
    plane = found[tuple(at[axis] for axis in raster.axes[:-2])]
    step = max(1, math.ceil(math.sqrt(plane.size / PIXELS)))
    return np.asarray(plane[::step, ::step])
