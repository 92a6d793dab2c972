"""From what a panel shows to a job, or to the reason why there can be none.

The only place that decides whether Run is possible; no Qt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.io.unfinished import is_unfinished
from napari_tincture.models.card import ModelCard
from napari_tincture.raster import Raster
from napari_tincture.tasks.channels import map_channels
from napari_tincture.tiling.inputs import Inputs
from napari_tincture.widgets._inputs import Origin
from napari_tincture.widgets._regions import GIVEN, Region, shape_box, shown_planes, viewport
from napari_tincture.widgets._unlike import unlike_note
from napari_tincture.worker.settings import JobSettings
from napari_tincture.worker.sources import channel_choices

PIXEL_SIZE_TOLERANCE = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """All that a panel asks of a person.

    Attributes
    ----------
    task, model
        What to do, and with which model (name or path).
    layer
        Name of the layer, empty if there is none.
    axes
        Letters per layer name, where its axes cannot be known otherwise.
    origins
        Where each model input comes from.
    region
        ``"layer"``, ``"shape"``, ``"viewport"`` or ``"given"``.
    box
        The pixels by axis for ``"given"``.
    shapes
        Name of the Shapes layer for ``"shape"``.
    planes
        ``"all"``, or ``"shown"`` for the one plane that the sliders stand at.
    context, device, precision, options, save_to, overwrite
        As in `JobSettings`.
    live
        Compute only what is looked at.
    any_pixel_size
        Run although the pixels are of another size than the model's.
    """

    task: str
    model: str
    layer: str
    axes: Mapping[str, str] = field(default_factory=dict)
    origins: tuple[Origin | None, ...] = ()
    region: str = "layer"
    box: Region = field(default_factory=dict)
    shapes: str = ""
    planes: str = "all"
    context: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    any_pixel_size: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    save_to: str | None = None
    overwrite: bool = False
    live: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A job that can run: its settings and sources, its size in words, and what to know before."""

    settings: JobSettings
    sources: tuple[Raster, ...]
    size: str
    notes: tuple[str, ...]


def make_plan(viewer: Any, choices: Choices, card: ModelCard) -> Plan:
    """Check everything that can be known before a run.

    Raises
    ------
    TinctureError
        Saying what is missing or does not fit, and what to do.
    """
    names = _source_names(choices)
    rasters = tuple(open_layer(viewer, name, choices.axes) for name in names)
    image = rasters[0]
    channels = _channels(choices, card, names)
    inputs = map_channels(image, card, channel_choices(channels, rasters))
    region = region_of(viewer, choices, image)
    sizes = {**image.sizes, **{axis: stop - start for axis, (start, stop) in region.items()}}
    notes = [
        *pixel_size_notes(image, card, choices),
        *_unlike_notes(viewer.layers[choices.layer], inputs, card),
        *_memory_notes(sizes, inputs.leading, card, choices),
        *_unfinished_notes(choices),
    ]
    options = dict(choices.options)
    if choices.any_pixel_size:
        options["pixel_size"] = "ignore"
    settings = JobSettings(
        task=choices.task, model=choices.model, channels=channels, region=region or None,
        context=choices.context, device=choices.device, precision=choices.precision,
        options=options, save_to=choices.save_to, overwrite=choices.overwrite,
    )  # fmt: skip
    return Plan(settings, rasters, _size_text(sizes, inputs.leading), tuple(notes))


def open_layer(viewer: Any, name: str, axes: Mapping[str, str]) -> Raster:
    """Open a layer of the viewer by its name.

    Raises
    ------
    InputError
        If there is none, or its axes cannot be known.
    """
    if not name or name not in viewer.layers:
        raise InputError("Open an image, or choose an image layer.")
    return open_image(viewer.layers[name], axes=axes.get(name) or None)


def own_letters(raster: Raster) -> str:
    """Give the axes of the layer's own dimensions, in its order."""
    return raster.order.replace("c", "") if raster.rgb else raster.order


def _source_names(choices: Choices) -> list[str]:
    others = [origin.layer for origin in choices.origins if origin is not None]
    return list(dict.fromkeys([choices.layer, *others]))


def _channels(
    choices: Choices, card: ModelCard, names: list[str]
) -> tuple[tuple[int, str, int], ...]:
    missing = [
        channel.name
        for channel, origin in zip(card.image_inputs, choices.origins, strict=True)
        if origin is None
    ]
    if missing:
        listed = ", ".join(missing) if len(missing) <= 3 else f"{missing[0]} … {missing[-1]}"
        count = len(card.image_inputs)
        raise InputError(
            f"The model takes {count} channel{'s' * (count > 1)}. Choose "
            f"under Inputs where {listed} comes from, or choose another layer."
        )
    return tuple((names.index(o.layer), o.axis, o.index) for o in choices.origins if o)


def region_of(viewer: Any, choices: Choices, image: Raster) -> Region:
    """The part of the layer that is chosen, in pixels by axis.

    Raises
    ------
    InputError
        If there is no rectangle, or it lies beside the layer.
    """
    layer, letters = viewer.layers[choices.layer], own_letters(image)
    region: Region = {}
    if choices.region == "shape":
        if not choices.shapes:
            raise InputError("Draw a rectangle in a Shapes layer, or choose another region.")
        region = shape_box(viewer, viewer.layers[choices.shapes], layer, letters)
    elif choices.region == "viewport":
        region = viewport(viewer, layer, letters)
    elif choices.region == GIVEN:
        region = _inside(choices.box, image)
    if choices.planes == "shown":
        region |= shown_planes(viewer, layer, letters)
    # Planes and channels that are model inputs are chosen there, not by the sliders.
    taken = {origin.axis for origin in choices.origins if origin is not None} | {"c"}
    return {axis: bounds for axis, bounds in region.items() if axis not in taken}


def _inside(box: Region, image: Raster) -> Region:
    for axis, (_, stop) in box.items():
        if stop > image.sizes.get(axis, 0):
            raise InputError(
                f"The recipe's region ends at {axis} {stop}, and layer {image.name!r} has "
                f"{image.sizes.get(axis, 'no such axis')}. Choose another region."
            )
    return dict(box)


def pixel_size_notes(image: Raster, card: ModelCard, choices: Choices) -> list[str]:
    """What to know of the pixels' size; raises `InputError` unless any size is let pass."""
    if card.pixel_size is None or image.pixel_size is None:
        return []
    if all(abs(size / card.pixel_size - 1) <= PIXEL_SIZE_TOLERANCE for size in image.pixel_size):
        return []
    text = f"Pixels are {image.pixel_size[0]:.3g} µm; the model was made for {card.pixel_size:.3g}."
    if not choices.any_pixel_size:
        raise InputError(f"{text} Resample the image, or tick 'any pixel size' under Options.")
    return [text]


def _memory_notes(
    sizes: Mapping[str, int], leading: str, card: ModelCard, choices: Choices
) -> list[str]:
    if choices.save_to is not None or choices.live:
        return []
    needed = math.prod(sizes[axis] for axis in leading + "yx") * _bytes_per_pixel(card, choices)
    free = psutil.virtual_memory().available
    text = f"The result takes {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} are free."
    if needed > free:
        raise InputError(f"{text} Choose a file on disk as output.")
    return [f"{text} A file on disk is safer."] if needed > free / 2 else []


def _bytes_per_pixel(card: ModelCard, choices: Choices) -> int:
    if card.task == "segment" and choices.options.get("output") != "probabilities":
        return 4
    image = 3 if card.rgb_output else 4 * len(card.outputs)
    back = 3 if card.rgb_input else 4 * len(card.image_inputs)
    sizes = {"image": image, "reconstruction": back}
    names = choices.options.get("outputs", ["image"])
    return sum(sizes.get(name, 4 * card.extras.get(name, 1)) for name in names)


def _unlike_notes(layer: Any, inputs: Inputs, card: ModelCard) -> list[str]:
    note = unlike_note(layer, inputs, card)
    return [f"{note} The result may look right and be wrong."] if note else []


def _unfinished_notes(choices: Choices) -> list[str]:
    if choices.save_to is None or not is_unfinished(choices.save_to):
        return []
    if choices.overwrite:
        return ["An unfinished result is there; what does not fit these settings is replaced."]
    return ["An unfinished result is there; Run continues it if nothing has changed since."]


def _size_text(sizes: Mapping[str, int], leading: str) -> str:
    planes = math.prod(sizes[axis] for axis in leading)
    return f"{sizes['x']} × {sizes['y']} px" + (f", {planes} planes" if planes > 1 else "")
