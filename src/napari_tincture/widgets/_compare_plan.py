"""From what the Compare panel shows to a call of `compare`, or to why there can be none; no Qt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.layers import METADATA
from napari_tincture.metrics.metric import Metric
from napari_tincture.metrics.registry import find_metric, metric_names
from napari_tincture.raster import Raster
from napari_tincture.tasks._pairs import check_pair, data_range_of
from napari_tincture.tasks.compare import METRICS
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


@dataclass(frozen=True, slots=True)
class Call:
    """Keyword arguments of `compare`, and how much that is in words."""

    arguments: dict[str, Any]
    size: str


def kind_of(layer: Any) -> str:
    """``"Image"``, ``"Labels"``, ``"Shapes"`` …, also of layers derived from these."""
    names = [base.__name__ for base in type(layer).__mro__]
    return next((name for name in names if name in (*KINDS, "Shapes")), "")


def is_map(layer: Any) -> bool:
    """Whether a layer is a map of an earlier comparison."""
    own = layer.metadata.get(METADATA, {})
    return isinstance(own, dict) and own.get("provenance", {}).get("task") == "compare"


def offered_metrics() -> list[tuple[str, Metric]]:
    """Metrics by name, those that `compare` takes by itself first.

    Without those of neural networks: this process must not import torch.
    """
    names = [*METRICS, *(name for name in metric_names() if name not in METRICS)]
    found = [(name, find_metric(name)) for name in names]
    return [(name, metric) for name, metric in found if not metric.network]


def make_call(viewer: Any, choices: CompareChoices) -> Call:
    """Check all that can be known without reading pixels.

    Raises
    ------
    InputError
        Saying what is missing or does not fit, and what to do.
    """
    if choices.reference is None:
        raise InputError("Open the reference and an image to compare with it.")
    if not choices.images:
        raise InputError("Tick one or more images to compare.")
    if not choices.metrics:
        raise InputError("Tick one or more metrics.")
    reference, *images = opened([choices.reference, *choices.images], choices.axes)
    for image in images:
        check_pair(image, reference, choices.channels)
    if reference.dtype.itemsize == 1 or reference.dtype.kind not in "iu":
        data_range_of(reference, images, choices.data_range)
    region: dict[str, tuple[int, int]] = {}
    if choices.area == "viewport":
        shown = viewport(viewer, choices.reference, own_letters(reference))
        region = {axis: shown[axis] for axis in shown if axis != "c"}
    sizes = reference.sizes | {axis: stop - start for axis, (start, stop) in region.items()}
    arguments = {
        "images": images, "reference": reference, "metrics": choices.metrics,
        "region": region or None, "mask": choices.mask, "regions": choices.regions,
        "channels": choices.channels, "data_range": choices.data_range,
        "maps": bool(choices.maps),
    }  # fmt: skip
    return Call(arguments, _size_text(sizes, len(images)))


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


def _size_text(sizes: dict[str, int], images: int) -> str:
    planes = math.prod(sizes.get(axis, 1) for axis in "tz")
    text = f"{images} image{'s' * (images > 1)}, {sizes['x']} × {sizes['y']} px"
    return text + (f", {planes} planes" if planes > 1 else "")
