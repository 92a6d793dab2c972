"""What OME-Zarr 0.4 and 0.5 say about an image or label map, checked by ome-zarr-models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from ome_zarr_models.base import BaseAttrs
from ome_zarr_models.common.omero import Channel, Omero, Window
from ome_zarr_models.v04.image import ImageAttrs as ImageAttrs04
from ome_zarr_models.v04.image_label import ImageLabelAttrs as ImageLabelAttrs04
from ome_zarr_models.v04.image_label_types import Label as Label04
from ome_zarr_models.v04.multiscales import Multiscale as Multiscale04
from ome_zarr_models.v05.image import ImageAttrs as ImageAttrs05
from ome_zarr_models.v05.image_label import ImageLabelAttrs as ImageLabelAttrs05
from ome_zarr_models.v05.image_label_types import Label as Label05
from ome_zarr_models.v05.multiscales import Multiscale as Multiscale05

from napari_tincture.io import own_metadata
from napari_tincture.io.ome_zarr import colour_code
from napari_tincture.raster import Raster

Version = Literal["0.4", "0.5"]

_PREFIXES = (
    "", "yocto", "zepto", "atto", "femto", "pico", "nano", "micro", "milli", "centi", "deci",
    "hecto", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta",
)  # fmt: skip
_LENGTHS = {f"{p}meter" for p in _PREFIXES} | {"angstrom", "foot", "inch", "mile", "parsec", "yard"}
_TIMES = {f"{p}second" for p in _PREFIXES} | {"day", "hour", "minute"}


def ome_metadata(
    raster: Raster,
    shapes: Sequence[tuple[int, ...]],
    extremes: Mapping[int, tuple[float, float]],
    version: Version = "0.5",
) -> dict[str, Any]:
    """Describe an image or label map.

    Parameters
    ----------
    raster : Raster
        Gives axes, placement, names and colours; its pixels are not read.
    shapes : sequence of tuple of int
        Of the levels, finest first; each halves y and x of the one before. Level ``i`` is the
        array of that name.
    extremes : mapping
        Least and greatest finite value by channel number, where they are known; shown where the
        raster has no display limits.
    version : {"0.5", "0.4"}
        Of OME-Zarr.

    Returns
    -------
    dict
        Attributes of the group: ``ome`` in 0.5; ``multiscales`` with ``omero`` or ``image-label``
        in 0.4.

    Raises
    ------
    pydantic.ValidationError
        If it would not be valid, such as a unit of time for a length.
    """
    if version == "0.5":
        return {"ome": _version_05(raster, shapes, extremes)}
    return _version_04(raster, shapes, extremes)


def _version_05(
    raster: Raster, shapes: Sequence[tuple[int, ...]], extremes: Mapping[int, tuple[float, float]]
) -> dict[str, Any]:
    multiscales = [Multiscale05.model_validate(_multiscale(raster, shapes))]
    fields: dict[str, Any] = {"version": "0.5", "multiscales": multiscales}
    if raster.kind == "labels":
        fields["image-label"] = Label05(version="0.5")
        return plain_json(ImageLabelAttrs05.model_validate(fields))
    fields["omero"] = _omero(raster, extremes)
    return plain_json(ImageAttrs05.model_validate(fields))


def _version_04(
    raster: Raster, shapes: Sequence[tuple[int, ...]], extremes: Mapping[int, tuple[float, float]]
) -> dict[str, Any]:
    multiscales = [Multiscale04.model_validate({**_multiscale(raster, shapes), "version": "0.4"})]
    fields: dict[str, Any] = {"multiscales": multiscales}
    if raster.kind == "labels":
        fields["image-label"] = Label04(version="0.4")
        return plain_json(ImageLabelAttrs04.model_validate(fields))
    fields["omero"] = _omero(raster, extremes, version="0.4")
    return plain_json(ImageAttrs04.model_validate(fields))


def plain_json(model: BaseAttrs) -> dict[str, Any]:
    """Give a model of ome-zarr-models as JSON with the specification's own names."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _multiscale(raster: Raster, shapes: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    factors = [[1] * (raster.ndim - 2) + [2**level] * 2 for level in range(len(shapes))]
    return {
        "name": raster.name,
        "axes": [_axis(axis, unit) for axis, unit in zip(raster.axes, raster.units, strict=True)],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _transforms(raster, factor)}
            for level, factor in enumerate(factors)
        ],
        "type": "nearest" if raster.kind == "labels" else "mean",
    }


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


def _omero(raster: Raster, extremes: Mapping[int, tuple[float, float]], **version: str) -> Omero:
    count = raster.sizes.get("c", 1)
    names = raster.channels or tuple(
        f"{raster.name or 'channel'}{f' {i}' if count > 1 else ''}" for i in range(count)
    )
    colours = raster.display.get("colours") or _default_colours(raster, count)
    limits = raster.display.get("limits") or [None] * count
    channels = [
        Channel.model_validate(
            {
                "label": name,
                "color": colour_code(colour),
                "active": True,
                "window": _window(raster.dtype, limit, extremes.get(i)),
            }
        )
        for i, (name, colour, limit) in enumerate(zip(names, colours, limits, strict=True))
    ]
    model = "color" if count > 1 else "greyscale"
    return Omero.model_validate({"channels": channels, "rdefs": {"model": model}, **version})


def _default_colours(raster: Raster, count: int) -> list[str]:
    if raster.rgb:
        return ["red", "green", "blue", "gray"][:count]
    several = ["cyan", "magenta", "yellow", "green", "red", "blue"]
    return ["gray"] if count == 1 else [several[i % len(several)] for i in range(count)]


def _window(
    dtype: np.dtype[Any], limit: Sequence[float] | None, found: tuple[float, float] | None
) -> Window:
    start, end = (float(v) for v in limit or found or (0.0, 1.0))
    if end <= start:
        end = start + 1.0
    low, high = start, end
    if dtype.kind in "iu":
        low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return Window(min=min(low, start), max=max(high, end), start=start, end=end)
