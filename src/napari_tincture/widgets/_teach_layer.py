"""Labels layers that are painted on to teach: made in an image's place, in the classes' colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.training.labels.labelling import PALETTE
from napari_tincture.widgets._train_preview import MARK, PLACE

CLASSES = "napari_tincture classes"
"""In the metadata of a layer: what its values are."""
MOST = 20
"""Values up to which those of a layer are taken for classes."""
SURVEYED = 2**25
"""Pixels that are looked at for values."""
BRUSH = 10
OTHER = "#808080"
"""Colour of values that are no class."""


@dataclass(frozen=True, slots=True)
class TeachClass:
    """A class: its value in the layer, its name, and its colour as #rrggbb."""

    value: int
    name: str
    colour: str

    def to_json(self) -> dict[str, Any]:
        """As the session takes it."""
        return {"value": self.value, "name": self.name, "colour": self.colour}


USUAL = (TeachClass(1, "background", PALETTE[0]), TeachClass(2, "object", PALETTE[1]))


def labels_names(viewer: Any) -> list[str]:
    """Names of the Labels layers that may be painted on, the topmost first."""
    layers = [layer for layer in reversed(viewer.layers) if isinstance(layer, Labels)]
    return [each.name for each in layers if MARK not in each.metadata and not each.multiscale]


def new_labels(viewer: Any, image: Raster) -> Labels:
    """Add an empty Labels layer in the place of an image, ready to be painted on."""
    flat = image.plane(c=0) if "c" in image.axes else image
    # One level: a pyramid cannot be painted on.
    _, options, _ = flat.to_layer()
    shape = tuple(flat.sizes[axis] for axis in flat.order or flat.axes)
    place = {name: options[name] for name in (*PLACE, "units", "axis_labels") if name in options}
    layer = Labels(
        np.zeros(shape, np.uint8), name=f"{image.name} strokes".strip(), opacity=0.7, **place
    )
    write_classes(layer, USUAL)
    viewer.add_layer(layer)
    select(viewer, layer, USUAL[0].value)
    layer.brush_size = BRUSH
    return layer


def read_classes(layer: Any) -> tuple[TeachClass, ...]:
    """What a layer's values are, as it says, or else as it is painted."""
    if CLASSES in layer.metadata:
        return tuple(TeachClass(**each) for each in layer.metadata[CLASSES])
    # Of a large layer every so many rows will do.
    step = max(int(np.prod(layer.data.shape)) // SURVEYED, 1)
    values = np.unique(np.asarray(layer.data[..., ::step, :]))
    values = values[values > 0]
    if not 0 < len(values) <= MOST:
        return USUAL
    found = [TeachClass(int(v), f"class {v}", colour_of(n)) for n, v in enumerate(values)]
    if len(found) == 1:
        found.append(TeachClass(int(values[0]) + 1, f"class {values[0] + 1}", colour_of(1)))
    return tuple(found)


def write_classes(layer: Any, classes: Sequence[TeachClass]) -> None:
    """Remember the classes with a layer, and show it in their colours."""
    layer.metadata[CLASSES] = [each.to_json() for each in classes]
    layer.colormap = colours(classes)


def colours(classes: Sequence[TeachClass]) -> DirectLabelColormap:
    """Of the classes; 0 is clear, and other values are grey."""
    known: dict[Any, str] = {None: OTHER, 0: "transparent"}
    return DirectLabelColormap(color_dict=known | {each.value: each.colour for each in classes})


def colour_of(number: int) -> str:
    """Of the class at this place in a list."""
    return PALETTE[number % len(PALETTE)]


def select(viewer: Any, layer: Any, value: int) -> None:
    """Let the user paint a value on a layer."""
    if layer not in viewer.layers:
        raise InputError("The Labels layer is gone; press New labels.")
    viewer.layers.selection = {layer}
    layer.selected_label = value
    layer.mode = "paint"
