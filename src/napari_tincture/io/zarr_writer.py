"""Finished pyramids as OME-Zarr: their metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tincture.io import own_metadata
from napari_tincture.io.layout import Layout
from napari_tincture.io.ome_zarr import colour_code
from napari_tincture.io.pyramid_store import Version
from napari_tincture.io.unfinished import Unfinished
from napari_tincture.raster import Raster

if TYPE_CHECKING:
    from napari_tincture.io.save import Facts

_PREFIXES = (
    "", "yocto", "zepto", "atto", "femto", "pico", "nano", "micro", "milli", "centi", "deci",
    "hecto", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta",
)  # fmt: skip
_LENGTHS = {f"{p}meter" for p in _PREFIXES} | {"angstrom", "foot", "inch", "mile", "parsec", "yard"}
_TIMES = {f"{p}second" for p in _PREFIXES} | {"day", "hour", "minute"}


def finish_ome_zarr(
    raster: Raster, layout: Layout, facts: Facts, unfinished: Unfinished, version: Version
) -> Path:
    """Write the metadata of a group whose arrays are complete; gives the group."""
    import zarr

    group = zarr.open_group(unfinished.data, mode="r+")
    group.attrs.update(
        {
            "ome": ome_metadata(raster, layout.shapes, facts.extremes),
            own_metadata.KEY: own_metadata.to_json(raster, facts.run),
        }
    )
    return unfinished.data


def ome_metadata(
    raster: Raster,
    shapes: Sequence[tuple[int, ...]],
    extremes: Mapping[int, tuple[float, float]],
) -> dict[str, Any]:
    """Give the ``ome`` attribute: multiscales, and omero or image-label."""
    factors = [[1] * (raster.ndim - 2) + [2**level] * 2 for level in range(len(shapes))]
    multiscale = {
        "name": raster.name,
        "axes": [_axis(axis, unit) for axis, unit in zip(raster.axes, raster.units, strict=True)],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _transforms(raster, factor)}
            for level, factor in enumerate(factors)
        ],
        "type": "nearest" if raster.kind == "labels" else "mean",
    }
    kind = {"image-label": {}} if raster.kind == "labels" else {"omero": _omero(raster, extremes)}
    return {"version": "0.5", "multiscales": [multiscale], **kind}


def _axis(axis: str, unit: str) -> dict[str, str]:
    kind = {"t": "time", "c": "channel"}.get(axis, "space")
    known: set[str] = {"time": _TIMES, "space": _LENGTHS}.get(kind, set())
    return {"name": axis, "type": kind, **({"unit": unit} if unit in known else {})}


def _transforms(raster: Raster, factor: Sequence[int]) -> list[dict[str, Any]]:
    """Scale and translation of a level; its pixels are centred on those that they cover."""
    scale, translation = own_metadata.scale_translation(raster.placement)
    moved = [t + s * (f - 1) / 2 for s, t, f in zip(scale, translation, factor, strict=True)]
    return [
        {"type": "scale", "scale": [s * f for s, f in zip(scale, factor, strict=True)]},
        {"type": "translation", "translation": moved},
    ]


def _omero(raster: Raster, extremes: Mapping[int, tuple[float, float]]) -> dict[str, Any]:
    count = raster.sizes.get("c", 1)
    names = raster.channels or tuple(
        f"{raster.name or 'channel'}{f' {i}' if count > 1 else ''}" for i in range(count)
    )
    colours = raster.display.get("colours") or _default_colours(raster, count)
    limits = raster.display.get("limits") or [None] * count
    channels = [
        {
            "label": name,
            "color": colour_code(colour),
            "active": True,
            "window": _window(raster.dtype, limit, extremes.get(i)),
        }
        for i, (name, colour, limit) in enumerate(zip(names, colours, limits, strict=True))
    ]
    return {"channels": channels, "rdefs": {"model": "color" if count > 1 else "greyscale"}}


def _default_colours(raster: Raster, count: int) -> list[str]:
    if raster.rgb:
        return ["red", "green", "blue", "gray"][:count]
    return ["gray"] if count == 1 else ["cyan", "magenta", "yellow", "green", "red", "blue"][:count]


def _window(
    dtype: np.dtype[Any], limit: Sequence[float] | None, found: tuple[float, float] | None
) -> dict[str, float]:
    start, end = (float(v) for v in limit or found or (0.0, 1.0))
    if end <= start:
        end = start + 1.0
    low, high = start, end
    if dtype.kind in "iu":
        low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return {"min": min(low, start), "max": max(high, end), "start": start, "end": end}
