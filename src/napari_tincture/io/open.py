"""`open_image`: anything that is an image, as a Raster, without reading its pixels."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture import axes as ax
from napari_tincture.errors import InputError, TinctureError
from napari_tincture.io import flat, ome_tiff, ome_zarr
from napari_tincture.io.channels import join_channels
from napari_tincture.io.provenance import plain
from napari_tincture.io.unfinished import is_unfinished, partial_path
from napari_tincture.layers import from_layer, is_layer
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster, SourceRef

Values = float | Sequence[float] | Mapping[str, float]
Units = str | Sequence[str] | Mapping[str, str]


def open_image(
    src: Any,
    *,
    axes: str | None = None,
    scale: Values | None = None,
    units: Units | None = None,
    channels: Sequence[str] | None = None,
) -> Raster:
    """Open an image lazily.

    Parameters
    ----------
    src : Raster, layer, array, path, or list of these
        A napari Image or Labels layer; a numpy, dask or zarr array, or anything with shape,
        dtype and slicing; a zarr group; the path of an OME-Zarr, zarr, TIFF, OME-TIFF, PNG,
        JPEG, BMP or npy file. The images of a list become channels, joined where they lie in
        the world.
    axes : str, optional
        One letter of ``tczyx`` per dimension, in the order of the source. Without it axes come
        from the file or the layer; two dimensions are ``yx``.
    scale : float, sequence or mapping, optional
        Pixel size in `units`: one number for the axes of space, or one per axis in the order of
        the source (fewer belong to its last axes; the c of a colour image is left out), or by
        letter, ``{"y": 0.5, "x": 0.5}``.
    units : str, sequence or mapping, optional
        As `scale`, such as ``"micrometer"``.
    channels : sequence of str, optional
        Names along c, or of the only channel.

    Returns
    -------
    Raster
        Nothing but metadata has been read.

    Raises
    ------
    InputError
        If it is no image, is empty or complex, or its axes cannot be known.
    """
    raster = _opened(src, axes)
    return _restated(raster, scale, units, channels)


def reopen(ref: SourceRef) -> Raster:
    """Open what a `SourceRef` describes, in any process."""
    options = dict(ref.options)
    if ref.kind == "sample":
        from napari_tincture import samples

        raster = samples.load(ref.path, **options)
    elif ref.kind == "channels":
        raster = join_channels([reopen(SourceRef.from_json(m)) for m in options["members"]])
    elif "levels" in options:
        raster = _reopen_levels(options)
    else:
        raster = open_image(ref.path, **options)
    for step, arguments in ref.steps:
        raster = _STEPS[step](raster, arguments)
    return raster


def _opened(src: Any, axes: str | None) -> Raster:
    if isinstance(src, Raster):
        return _relettered(src, axes)
    if is_layer(src):
        return _layer(src, axes)
    if isinstance(src, (str, os.PathLike)):
        return _path(src, axes)
    if isinstance(src, (list, tuple)):
        return join_channels([_opened(member, axes) for member in src])
    if type(src).__module__.split(".")[0] == "zarr":
        return ome_zarr.open_zarr(src, axes)
    return _array(src, axes)


def _array(array: Any, axes: str | None) -> Raster:
    missing = [name for name in ("shape", "dtype", "__getitem__") if not hasattr(array, name)]
    if missing:
        raise InputError(
            f"{type(array).__name__} is no image: it has no {', '.join(missing)}. Give a napari "
            "layer, an array, a path, or a list of these."
        )
    if len(array.shape) < 2:
        raise InputError(
            f"An array of shape {tuple(array.shape)} is no image; it needs at least the axes yx."
        )
    if not _has_numpy_dtype(array):
        array = np.asarray(array)
    axes = axes or ("yx" if len(array.shape) == 2 else None)
    if axes is None:
        raise ax.unknown_axes(array.shape)
    return Raster.from_array(array, axes)


def _has_numpy_dtype(array: Any) -> bool:
    try:
        np.dtype(array.dtype)
    except TypeError:
        return False
    return True


def _path(path: str | os.PathLike[str], axes: str | None) -> Raster:
    if "://" in str(path):
        return ome_zarr.open_zarr(path, axes)
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    if ome_zarr.is_zarr(file):
        return ome_zarr.open_zarr(file, axes)
    finished = file.with_suffix("") if suffix == ".partial" else file
    if is_unfinished(finished):
        raise InputError(
            f"{partial_path(finished)} is an unfinished result. Save it again as it was begun: "
            "the same call continues where it stopped."
        )
    if not file.exists():
        raise InputError(f"There is no file or folder {path}; check the spelling.")
    if file.is_file() and suffix in ome_tiff.SUFFIXES:
        return ome_tiff.open_tiff(file, axes)
    if file.is_file() and suffix in flat.SUFFIXES:
        return flat.open_flat(file, axes)
    raise InputError(
        f"{path} is of no known format. Readable are zarr and OME-Zarr folders, "
        f"{', '.join((*ome_tiff.SUFFIXES, *flat.SUFFIXES))}; convert other formats to OME-Zarr or "
        "OME-TIFF (bioformats2raw, Fiji), or open them in napari and give the layer."
    )


def _layer(layer: Any, axes: str | None) -> Raster:
    """Open a layer; zarr arrays in local folders are remembered for other processes."""
    raster = from_layer(layer, axes)
    source = raster.source
    if source is None:
        arrays = list(layer.data) if layer.multiscale else [layer.data]
        paths = [path for a in arrays if (path := _zarr_path(a)) is not None]
        if len(paths) < len(arrays):
            return raster
        source = SourceRef("path", paths[0], {"levels": paths, "order": raster.order})
    # The layer may have been moved or renamed since its data were opened.
    return replace(raster, source=source.then("describe", _description(raster)))


def described_source(raster: Raster) -> SourceRef:
    """How another process opens a raster that has a source, with all that is said of it here."""
    assert raster.source is not None
    return raster.source.then("describe", _description(raster))


def shortest(source: SourceRef) -> SourceRef:
    """The same source without a last description that says what opening it tells anyway."""
    if not source.steps or source.steps[-1][0] != "describe":
        return source
    before = replace(source, steps=source.steps[:-1])
    try:
        known = plain(_description(before.open()))
    except TinctureError:
        return source
    return before if known == plain(source.steps[-1][1]) else source


def _zarr_path(array: Any) -> str | None:
    """Find the local zarr array that a layer shows, itself or through ``dask.array.from_zarr``."""
    import zarr

    layers = getattr(getattr(array, "dask", None), "layers", {})
    if len(layers) == 2 and f"original-{array.name}" in layers:
        array = next(iter(layers[f"original-{array.name}"].values()))
        array = getattr(array, "value", array)
    return ome_zarr.local_path(array) if isinstance(array, zarr.Array) else None


def _reopen_levels(options: Mapping[str, Any]) -> Raster:
    import zarr

    arrays = [zarr.open_array(path, mode="r") for path in options["levels"]]
    return Raster.from_array(arrays, options["order"])


def _description(raster: Raster) -> dict[str, Any]:
    return {
        "placement": raster.placement.to_json(), "kind": raster.kind, "name": raster.name,
        "rgb": raster.rgb, "channels": list(raster.channels), "display": dict(raster.display),
        "provenance": dict(raster.provenance), "order": raster.order,
    }  # fmt: skip


def _described(raster: Raster, fields: Mapping[str, Any]) -> Raster:
    placement = Placement.from_json(fields["placement"])
    channels = tuple(fields["channels"])
    return replace(raster, **{**fields, "placement": placement, "channels": channels})


def _relettered(raster: Raster, axes: str | None) -> Raster:
    if axes is None or axes.lower() in (raster.order, raster.axes):
        return raster
    raise InputError(
        f"axes={axes!r} contradict those of the raster, {raster.axes!r}; leave them out, or state "
        "them where the image is first opened."
    )


def _restated(
    raster: Raster, scale: Values | None, units: Units | None, channels: Sequence[str] | None
) -> Raster:
    given = {"scale": scale, "units": units, "channels": channels}
    given = {name: _listed(value) for name, value in given.items() if value is not None}
    if not given:
        return raster
    placement = raster.placement
    if scale is not None:
        values = _by_letter(raster, scale, "scale")
        new = [float(values.get(a, s)) for a, s in zip(raster.axes, raster.scale, strict=True)]
        placement = replace(placement, scale=tuple(new))
    if units is not None:
        names = _by_letter(raster, units, "units")
        texts = [str(names.get(a, u)) for a, u in zip(raster.axes, raster.units, strict=True)]
        placement = Placement.build(**{**placement.to_json(), "units": texts})
    names_of = raster.channels if channels is None else tuple(str(name) for name in channels)
    source = raster.source.then("restate", given) if raster.source else None
    return replace(raster, placement=placement, channels=names_of, source=source)


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    is_scalar = isinstance(value, str) or not hasattr(value, "__len__")
    return value if is_scalar else [v if isinstance(v, str) else float(v) for v in value]


def _by_letter(raster: Raster, given: Any, what: str) -> dict[str, Any]:
    """Assign one value, a sequence or a mapping to axes."""
    order = raster.order or raster.axes
    order = order.replace("c", "") if raster.rgb else order
    if isinstance(given, Mapping):
        values = dict(given)
    elif isinstance(given, str) or not hasattr(given, "__len__"):
        values = {a: given for a in order if a in "zyx"}
    else:
        if len(given) > len(order):
            raise InputError(
                f"{what}={given!r} has {len(given)} values for the axes {order!r}; give one per "
                "axis, or a mapping by letter."
            )
        values = dict(zip(order[len(order) - len(given) :], given, strict=True))
    if unknown := set(values) - set(raster.axes):
        raise InputError(
            f"{what} names the axes {sorted(unknown)}, but the image has {raster.axes!r}."
        )
    return values


_STEPS: dict[str, Callable[[Raster, Mapping[str, Any]], Raster]] = {
    "crop": lambda raster, bounds: raster.crop({a: slice(*b) for a, b in bounds.items()}),
    "plane": lambda raster, index: raster.plane(**index),
    "restate": lambda raster, given: open_image(raster, **given),
    "describe": _described,
}
