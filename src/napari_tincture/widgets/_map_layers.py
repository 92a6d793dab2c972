"""Maps of a comparison as layers: small ones whole, large ones where someone looks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_tincture.arrays import as_dask
from napari_tincture.layers import METADATA
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster
from napari_tincture.tasks._map_places import sample, whole
from napari_tincture.tasks.comparison import Comparison
from napari_tincture.widgets._map_server import open_live

SMALL = 16 * 2**20
"""Pixels up to which a map is computed as a whole before it is shown."""
COLOURS = "viridis"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A map that is ready to be a layer.

    Attributes
    ----------
    of
        Its image and column.
    raster
        In memory, or lazy.
    live
        Whether it is computed where someone looks.
    """

    of: tuple[str, str]
    raster: Raster
    live: bool


def prepare(found: Comparison, columns: Sequence[str], cancel: CancelToken) -> list[Prepared]:
    """Compute the maps of some columns, or what large ones need at first.

    Those of colour images are the mean over the channels.
    """
    result = []
    for key, raster in found.maps.items():
        if key[1] not in columns:
            continue
        if found.reference is not None and found.reference.rgb and "c" in raster.axes:
            raster = _mean(raster)
        small = int(np.prod(raster.shape)) <= SMALL
        if small:
            raster = _in_memory(raster, cancel)
        if not raster.display.get("limits"):
            raster = replace(raster, display={"limits": _limits(raster, cancel)})
        raster = replace(raster, display={**raster.display, "colours": [COLOURS]})
        result.append(Prepared(key, raster, live=not small))
    return result


def add_maps(viewer: Any, maps: Sequence[Prepared]) -> dict[tuple[str, str], list[Any]]:
    """Add maps to a viewer, the first shown, the others hidden; the active layer stays."""
    active = viewer.layers.selection.active
    _remove_earlier(viewer, {_pair(each.raster.provenance) for each in maps})
    result: dict[tuple[str, str], list[Any]] = {}
    for each in maps:
        layers = add_prepared(viewer, each)
        for layer in layers:
            layer.visible = not result
        result[each.of] = layers
    if active is not None and active in viewer.layers:
        viewer.layers.selection.active = active
    return result


def add_prepared(viewer: Any, each: Prepared) -> list[Any]:
    """Add what is prepared to a viewer; give its layers."""
    return open_live(viewer, each.raster) if each.live else [each.raster.add_to(viewer)]


def prepare_image(name: str, raster: Raster, cancel: CancelToken) -> Prepared:
    """Compute a small lazy image; a large one is left to be computed where someone looks."""
    if int(np.prod(raster.shape)) <= SMALL:
        values = as_dask(raster.compute(cancel=cancel), raster.axes)
        return Prepared((name, ""), replace(raster, levels=(values,), name=name), live=False)
    # Layers of colours and labels are not live: napari asks for what it shows of them.
    live = raster.kind == "image" and not raster.rgb
    return Prepared((name, ""), replace(raster, name=name), live=live)


def _pair(provenance: Mapping[str, Any]) -> tuple[str, str]:
    return str(provenance.get("image")), str(provenance.get("reference"))


def _remove_earlier(viewer: Any, pairs: Collection[tuple[str, str]]) -> None:
    """Remove maps of an earlier comparison of the same images."""
    for layer in [each for each in viewer.layers if is_map(each)]:
        if _pair(layer.metadata[METADATA]["provenance"]) in pairs:
            viewer.layers.remove(layer)


def is_map(layer: Any) -> bool:
    """Whether a layer is a map of a comparison."""
    own = layer.metadata.get(METADATA, {})
    return isinstance(own, dict) and own.get("provenance", {}).get("task") == "compare"


def _mean(raster: Raster) -> Raster:
    first = raster.plane(c=0)
    mean = raster.data.mean(axis=raster.axes.index("c"), dtype=np.float64).astype(np.float32)
    limits = raster.display.get("limits")
    return replace(
        first, levels=(mean,), name=raster.name, channels=(),
        display={"limits": limits[:1]} if limits else {},
    )  # fmt: skip


def _in_memory(raster: Raster, cancel: CancelToken) -> Raster:
    values = np.empty(raster.shape, np.float32)
    raster.stream(values.__setitem__, cancel=cancel)
    return replace(raster, levels=(as_dask(values, raster.axes),))


def _limits(raster: Raster, cancel: CancelToken) -> list[list[float]]:
    values = sample(raster, whole(raster), cancel).values
    low, high = np.percentile(values, (0.5, 99.5)) if values.size else (0.0, 1.0)
    ends = [float(low), float(high if high > low else low + 1.0)]
    return [ends] * raster.sizes.get("c", 1)
