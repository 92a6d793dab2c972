"""From what the Compare panel shows to a call of `compare`, or to why there can be none; no Qt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.metrics.metric import Metric
from napari_tincture.metrics.registry import find_metric, metric_names
from napari_tincture.raster import Raster
from napari_tincture.tasks._pairs import check_pair, data_range_of
from napari_tincture.tasks.compare import METRICS
from napari_tincture.tasks.comparison import names_of
from napari_tincture.widgets._plan import own_letters
from napari_tincture.widgets._regions import viewport

KINDS = ("Image", "Labels")
"""Layers that can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareChoices:
    """All that the panel asks of a person.

    Attributes
    ----------
    reference, images
        Layers.
    metrics
        Names.
    axes
        Of the reference, where they cannot be known otherwise; empty: they are.
    data_range
        None: of the type.
    channels
        As in `compare`.
    area
        ``"layer"`` or ``"viewport"``.
    mask
        None, ``"tissue"`` or a Labels layer.
    regions
        None, ``"grid:256"``, a Shapes or a Labels layer.
    maps
        Columns of which maps are wanted.
    cells
        None, or a Labels layer: all cells, of which the stained ones are counted.
    leave_out
        Whether values that are not finite are left out.
    """

    reference: Any
    images: tuple[Any, ...]
    metrics: tuple[str, ...]
    axes: str = ""
    data_range: float | None = None
    channels: str = "each"
    area: str = "layer"
    mask: Any = None
    regions: Any = None
    maps: tuple[str, ...] = ()
    cells: Any = None
    leave_out: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """Keyword arguments of `compare`, layers by the names of images, and how much it is."""

    arguments: dict[str, Any]
    layers: dict[str, Any]
    size: str


def kind_of(layer: Any) -> str:
    """``"Image"``, ``"Labels"``, ``"Shapes"`` …, also of layers derived from these."""
    names = [base.__name__ for base in type(layer).__mro__]
    return next((name for name in names if name in (*KINDS, "Shapes")), "")


def offered_metrics() -> dict[str, Metric]:
    """Metrics by name, those that `compare` takes by itself first."""
    names = [*METRICS, *(name for name in metric_names() if name not in METRICS)]
    return {name: find_metric(name) for name in names}


def barred(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Why metrics cannot be taken in the panel, by name."""
    return {name: why for name, metric in metrics.items() if (why := _why_not(name, metric))}


def _why_not(name: str, metric: Metric) -> str:
    lacking = metric.needs.lacking() if metric.needs is not None else ""
    if not lacking and metric.network:  # this process must not import torch
        return f"A neural network computes it. In Python: compare(…, metrics=[{name!r}])."
    return lacking


def make_call(viewer: Any, choices: CompareChoices) -> Call:
    """Check all that can be known without reading pixels.

    Raises
    ------
    InputError
        Saying what is missing or does not fit, and what to do.
    """
    reference, *images = rasters_of(choices)
    if not choices.metrics:
        raise InputError("Tick one or more metrics.")
    for image in images:
        check_pair(image, reference, choices.channels)
    # Of longer integers, values must be read to tell.
    told = reference.dtype.itemsize == 1 or reference.dtype.kind not in "iu"
    if told and reference.kind != "labels":
        data_range_of(reference, images, choices.data_range)
    region: dict[str, tuple[int, int]] = {}
    if choices.area == "viewport":
        shown = viewport(viewer, choices.reference, own_letters(reference))
        region = {axis: shown[axis] for axis in shown if axis != "c"}
    sizes = reference.sizes | {axis: stop - start for axis, (start, stop) in region.items()}
    arguments = {
        "images": images, "reference": reference, "metrics": choices.metrics,
        "region": region or None, "mask": _opened_labels(choices.mask, choices),
        "regions": _opened_labels(choices.regions, choices),
        "channels": choices.channels, "data_range": choices.data_range,
        "maps": bool(choices.maps), "cells": _opened_labels(choices.cells, choices),
        "nonfinite": "ignore" if choices.leave_out else "error",
    }  # fmt: skip
    layers = dict(zip(names_of(images), choices.images, strict=True))
    return Call(arguments, layers, _size_text(sizes, len(images)))


def rasters_of(choices: CompareChoices) -> list[Raster]:
    """Open the reference and the images.

    Raises
    ------
    InputError
        If there are none, or one cannot be opened.
    """
    if choices.reference is None:
        raise InputError("Open the reference and an image to compare with it.")
    if not choices.images:
        raise InputError("Tick one or more images to compare.")
    return list(opened([choices.reference, *choices.images], choices.axes))


def opened(layers: Sequence[Any], axes: str) -> Iterator[Raster]:
    """Open layers; `axes` are those of the ones with as many dimensions as the first."""
    first = layers[0]
    for layer in layers:
        try:
            yield open_image(layer)
        except InputError:
            if not axes or layer.ndim != first.ndim:
                raise
            yield open_image(layer, axes=axes)


def _opened_labels(value: Any, choices: CompareChoices) -> Any:
    """A Labels layer as opened with the axes of the reference; all else as it is."""
    if kind_of(value) != "Labels":
        return value
    _, labels = opened([choices.reference, value], choices.axes)
    return labels


def _size_text(sizes: dict[str, int], images: int) -> str:
    planes = math.prod(sizes.get(axis, 1) for axis in "tz")
    text = f"{images} image{'s' * (images > 1)}, {sizes['x']} × {sizes['y']} px"
    return text + (f", {planes} planes" if planes > 1 else "")
