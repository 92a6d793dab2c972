"""Rasters from and to napari layers, without importing napari."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tincture import axes as ax
from napari_tincture.arrays import memory_of
from napari_tincture.errors import InputError
from napari_tincture.placement import Placement
from napari_tincture.raster import LayerData, Raster
from napari_tincture.source import SourceRef

if TYPE_CHECKING:
    import dask.array as da

METADATA = "napari_tincture"
"""Key in a layer's metadata under which axes, channel names and provenance travel."""

LARGEST_NAMED = 8 << 20
"""Bytes of arrays in memory whose content is looked at to tell whether it was changed."""

RGB_NAMES = ("red", "green", "blue", "alpha")
"""Channel names of colour images."""


def is_layer(value: object) -> bool:
    """Tell whether a value is a layer of napari, without importing napari."""
    base = getattr(sys.modules.get("napari.layers"), "Layer", None)
    return base is not None and isinstance(value, base)


def to_layer(raster: Raster) -> LayerData:
    """Give ``(data, options, type)`` of a napari layer that lies where the raster lies."""
    order = ax.display_order(raster.axes, raster.order or raster.axes)
    placement = raster.placement.permute(ax.permutation(raster.axes, order))
    if raster.rgb:
        placement = placement.drop(order.index("c"))
        order = order.replace("c", "") + "c"
    data = [_layer_array(level, raster.axes, order) for level in raster.levels]
    own = {
        "axes": order, "channels": list(raster.channels), "display": dict(raster.display),
        "provenance": dict(raster.provenance), "data": _array_name(data[0]),
        "source": raster.source.to_json() if raster.source else None,
    }  # fmt: skip
    options: dict[str, Any] = {"name": raster.name} if raster.name else {}
    options |= placement.layer_options() | {"metadata": {METADATA: own}}
    options["multiscale"] = len(data) > 1
    if raster.kind == "image":
        options["rgb"] = raster.rgb
        options |= _display_options(raster)
    return data if len(data) > 1 else data[0], options, raster.kind


def to_layers(raster: Raster) -> list[LayerData]:
    """Give one layer per channel, as `to_layer` does; one in all of a colour or 1-channel image."""
    if raster.rgb or "c" not in raster.axes:
        return [to_layer(raster)]
    names = raster.channels or tuple(str(c) for c in range(raster.sizes["c"]))
    single = (replace(raster.plane(c=i), name=f"{raster.name} {n}") for i, n in enumerate(names))
    return [to_layer(channel) for channel in single]


def from_layer_data(data: Any, options: Mapping[str, Any], kind: str) -> Raster:
    """Make a raster from what ``layer.as_layer_data_tuple()`` gives; see `from_layer`.

    Parameters
    ----------
    data : array or list of array
    options : mapping
        All attributes of the layer.
    kind : {"image", "labels"}
    """
    finest = data[0] if options["multiscale"] else data
    ndim = len(finest.shape) - bool(options.get("rgb"))
    layer_class = {"image": Image, "labels": Labels}[kind]
    return from_layer(layer_class(**{**options, "data": data, "ndim": ndim}))


class Image(SimpleNamespace):
    """The attributes of an image layer, without napari."""


class Labels(SimpleNamespace):
    """The attributes of a labels layer, without napari."""


def from_layer(layer: Any, axes: str | None = None) -> Raster:
    """Make a raster from a napari image or labels layer, without reading its data.

    Parameters
    ----------
    layer : napari.layers.Image or napari.layers.Labels
        With or without pyramid.
    axes : str, optional
        Axes of its data, with or without the c of a colour layer.

    Raises
    ------
    InputError
        If it is another kind of layer, or its axes cannot be known.
    """
    # A plugin's viewer hands out its layers in a proxy.
    layer = getattr(layer, "__wrapped__", layer)
    kind = {"Image": "image", "Labels": "labels"}.get(_base_name(layer))
    if kind is None:
        raise InputError(
            f"Layer {layer.name!r} is a {type(layer).__name__} layer; an Image or Labels layer is "
            "needed. Convert it (right-click › Convert to Labels) or choose another."
        )
    arrays = list(layer.data) if layer.multiscale else [layer.data]
    # A live layer knows only parts of what it shows.
    behind: Raster | None = getattr(arrays[0], "behind", None)
    rgb = bool(getattr(layer, "rgb", False))
    own = _own_metadata(layer, rgb)
    order = _layer_axes(layer, axes, own.get("axes"), rgb)
    placement = Placement.build(
        layer.axis_labels, units=layer.units, scale=layer.scale, translate=layer.translate,
        rotate=layer.rotate, shear=layer.shear, affine=np.asarray(layer.affine),
    )  # fmt: skip
    if rgb:
        placement = placement.insert(order.index("c"), "c")
    target = ax.canonical(order)
    if behind is not None:
        placement = placement.permute(ax.permutation(order, target))
        return replace(behind, placement=placement, name=layer.name)
    source = SourceRef.from_json(own["source"]) if _unchanged(own, arrays[0]) else None
    return Raster.from_array(
        arrays, order, placement=placement.permute(ax.permutation(order, target)), kind=kind,
        name=layer.name, rgb=rgb, channels=_channels(own, rgb, arrays[0]),
        display=dict(own.get("display", {})), provenance=own.get("provenance", {}),
        source=source,
    )  # fmt: skip


def _unchanged(own: Mapping[str, Any], array: Any) -> bool:
    """Whether a layer still shows what its source holds."""
    return bool(own.get("source")) and own.get("data") == (_array_name(array) or "unknown")


def _base_name(layer: Any) -> str:
    names = [base.__name__ for base in type(layer).__mro__]
    return next((name for name in names if name in ("Image", "Labels")), "")


def _own_metadata(layer: Any, rgb: bool) -> dict[str, Any]:
    own = layer.metadata.get(METADATA, {})
    axes = own.get("axes", "") if isinstance(own, dict) else ""
    return own if len(axes) == layer.ndim + rgb and (axes[-1] == "c") == rgb else {}


def _layer_axes(layer: Any, stated: str | None, own: str | None, rgb: bool) -> str:
    """Take axes as stated, else spelled by the labels, else as we once wrote them, else y x."""
    shape = [int(n) for n in (layer.data[0] if layer.multiscale else layer.data).shape]
    if stated is not None:
        stated = f"{stated}c" if rgb and len(stated) == len(shape) - 1 else stated
        return ax.check_axes(stated, shape)
    letters = ax.axes_from_labels(layer.axis_labels, last_two_are_yx=True)
    if letters is None and own is not None:
        return own
    if letters is None and layer.ndim == 2:
        letters = "yx"
    if letters is None or (rgb and "c" in letters):
        raise ax.unknown_axes(shape, str(tuple(layer.axis_labels)))
    return letters + "c" if rgb else letters


def _array_name(array: Any) -> str | None:
    """Give a name that changes with whatever is done to an array; None if there is none."""
    if hasattr(array, "dask"):
        return str(array.name)
    if not isinstance(array, np.ndarray):
        return None
    kind = f"{array.dtype} {array.shape}"
    if not array.flags.writeable:  # a file that is mapped into memory
        return f"{kind} at {array.ctypes.data:#x}"
    if array.nbytes > LARGEST_NAMED:
        return None
    # It may have been painted on since.
    content = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16)
    return f"{kind} {content.hexdigest()}"


def _channels(own: dict[str, Any], rgb: bool, array: Any) -> tuple[str, ...]:
    names = tuple(own.get("channels", ()))
    return names or (RGB_NAMES[: array.shape[-1]] if rgb else ())


def _layer_array(level: da.Array, axes: str, order: str) -> Any:
    memory = memory_of(level)
    return ax.reorder(level if memory is None else memory, axes, order)


def _display_options(raster: Raster) -> dict[str, Any]:
    limits = raster.display.get("limits") or []
    colours = raster.display.get("colours") or []
    options: dict[str, Any] = {}
    if limits and not raster.rgb:
        low, high = np.min(limits, axis=0)[0], np.max(limits, axis=0)[1]
        options["contrast_limits"] = (float(low), float(high))
    if len(colours) == 1:
        options["colormap"] = colours[0]
    return options
