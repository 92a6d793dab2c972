"""Layers of marks: what is right and what is wrong of a stained layer, in two colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_tincture.training.correction_set import RIGHT, WRONG

COLOURS = {RIGHT: "#2e8b57", WRONG: "#c8372b"}
WORDS = {RIGHT: "right", WRONG: "wrong"}
BRUSH = 30
"""Pixels of the screen that the brush is wide at first."""


def marks_of(viewer: Any, stained: Any) -> Labels | None:
    """The layer of marks of a stained layer, if there is one."""
    for layer in viewer.layers:
        if isinstance(layer, Labels) and layer.metadata.get("marks of") is stained:
            return layer
    return None


def paint(viewer: Any, stained: Any, mark: int) -> Labels:
    """Let the user paint a mark on a stained layer; its layer of marks is made if need be."""
    layer = marks_of(viewer, stained)
    if layer is None:
        layer = viewer.add_layer(_new(stained))
    viewer.layers.selection = {layer}
    layer.selected_label = mark
    layer.mode = "paint"
    zoom = (viewer.scene if hasattr(viewer, "scene") else viewer).camera.zoom
    pixel = float(np.min(np.abs(stained.scale[-2:]))) or 1.0
    layer.brush_size = max(BRUSH / max(zoom * pixel, 1e-9), 1)
    return layer


def _new(stained: Any) -> Labels:
    finest = stained.data[0] if stained.multiscale else stained.data
    shape = finest.shape[: stained.ndim]
    colours: dict[Any, str] = {None: "transparent", 0: "transparent", **COLOURS}
    return Labels(
        np.zeros(shape, np.uint8), name=f"{stained.name} marks", opacity=0.6,
        colormap=DirectLabelColormap(color_dict=colours),
        features={"index": [0, *WORDS], "says": ["", *WORDS.values()]},
        scale=stained.scale, translate=stained.translate, rotate=stained.rotate,
        shear=stained.shear, affine=stained.affine, units=stained.units,
        axis_labels=stained.axis_labels, metadata={"marks of": stained},
    )  # fmt: skip
