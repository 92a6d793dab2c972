"""A note where a layer is unlike what the model has learned from, as far as that costs nothing."""

from __future__ import annotations

import math
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_tincture.arrays import memory_of
from napari_tincture.models.card import ModelCard
from napari_tincture.models.statistics import out_of_range
from napari_tincture.tiling.inputs import Inputs, Lane

PIXELS = 2**18
"""Values of a channel that are looked at, at most."""
_KNOWN: WeakKeyDictionary[Any, dict[Any, str]] = WeakKeyDictionary()


def unlike_note(layer: Any, inputs: Inputs, card: ModelCard) -> str:
    """Say how a layer's values differ from those of the training images; empty if they do not.

    Only values in memory are looked at, each layer once per model and choice of channels; what
    lies on disk is looked at when it is run.
    """
    lanes = inputs.lanes[: len(card.image_inputs)]
    if len(card.training_statistics.get("channels", ())) != len(lanes):
        return ""
    # A layer's data may be replaced; its attributes are no key.
    known = _KNOWN.setdefault(layer, {})
    key = (id(layer.data), card.name, tuple(tuple(lane.at.items()) for lane in lanes))
    if key not in known:
        values = [_values(lane) for lane in lanes]
        known[key] = ""
        if all(value is not None for value in values):
            stacked = np.stack([value.ravel() for value in values if value is not None])
            known[key] = out_of_range(card.training_statistics, stacked) or ""
    return known[key]


def _values(lane: Lane) -> np.ndarray | None:
    """The middle plane of a channel, thinned out; None if it is not in memory."""
    raster = lane.raster
    arrays = [memory_of(level) for level in raster.levels]
    found = next((array for array in reversed(arrays) if array is not None), None)
    if found is None:
        return None
    at = {axis: size // 2 for axis, size in zip(raster.axes, found.shape, strict=True)}
    at |= dict(lane.at)
    plane: np.ndarray = found[tuple(at[axis] for axis in raster.axes[:-2])]
    step = max(1, math.ceil(math.sqrt(plane.size / PIXELS)))
    return plane[::step, ::step]
