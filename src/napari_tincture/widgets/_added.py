"""Results as layers of the viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_tincture.object_table import ObjectTable
from napari_tincture.raster import Raster

NO_TABLES: Mapping[str, ObjectTable] = {}
IMAGES = ("", "image")
"""Names of results that are shown at once."""


def add_results(
    viewer: Any, results: Mapping[str, Raster], tables: Mapping[str, ObjectTable] = NO_TABLES
) -> None:
    """Add the results of one run; what comes beside an image is hidden, and waits in the list.

    Labels have the table of their objects as features.
    """
    images = [name for name in results if name in IMAGES]
    for name in sorted(results, key=lambda name: name in images):  # what is seen lies on top
        for layer in add_layers(viewer, results[name]):
            if name in tables:
                layer.features = tables[name].features()
            layer.visible = name in images or not images


def add_layers(viewer: Any, result: Raster) -> list[Any]:
    """Add a result to the viewer, one layer per channel, in the place of its source."""
    parts = [result]
    if "c" in result.axes and not result.rgb:
        parts = [_channel(result, index) for index in range(result.sizes["c"])]
    return [_add(viewer, part, on_top=number > 0) for number, part in enumerate(parts)]


def _add(viewer: Any, part: Raster, *, on_top: bool) -> Any:
    data, options, kind = part.to_layer()
    if on_top:  # of the channel before, which covers the source as a single result does
        options["blending"] = "additive"
    return getattr(viewer, f"add_{kind}")(data, **options)


def _channel(result: Raster, index: int) -> Raster:
    name = result.channels[index] if result.channels else str(index)
    return replace(result.plane(c=index), name=f"{result.name} {name}".strip())
