"""Zarr arrays and OME-Zarr images (0.1 to 0.5) as rasters."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tincture import axes as ax
from napari_tincture.errors import InputError
from napari_tincture.io import own_metadata, remote
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster, SourceRef

if TYPE_CHECKING:
    import zarr

MARKERS = ("zarr.json", ".zgroup", ".zarray")
"""Files of which a folder that is a zarr store has at least one."""


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Tell whether a local folder is a zarr store."""
    return any((Path(path) / marker).is_file() for marker in MARKERS)


def local_attributes(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the attributes of a node in a local folder from its JSON alone; empty if there is none.

    Raises
    ------
    InputError
        If they are no JSON object.
    """
    for name, within in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            content = json.loads(Path(folder, name).read_text("utf-8"))
            return dict(content.get(within, {}) if within else content)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{Path(folder, name)} is no valid JSON object: {error}. The store is damaged; "
                "write it again."
            ) from error
    return {}


def open_zarr(source: Any, axes: str | None = None) -> Raster:
    """Open a zarr array or OME-Zarr group.

    Parameters
    ----------
    source : str, path, zarr.Array or zarr.Group
        A store or a node within it, zarr format 2 or 3.
    axes : str, optional
        Axes of the arrays; needed where the metadata do not name them.

    Raises
    ------
    InputError
        If it holds no image, or several, or its axes cannot be known.
    """
    import zarr

    node = source
    if not isinstance(source, (zarr.Array, zarr.Group)):
        node = _open_node(source)
    return _open_array(node, axes) if isinstance(node, zarr.Array) else _open_group(node, axes)


def local_path(node: zarr.Array[Any] | zarr.Group) -> str | None:
    """Give the folder of a node; None if it is not in a local file system."""
    from zarr.storage import LocalStore

    store: Any = node.store
    if isinstance(store, LocalStore):
        return str(Path(store.root).absolute() / node.path)
    # dask.array.from_zarr opens local folders through fsspec, behind an asynchronous wrapper.
    files = getattr(store, "fs", None)
    protocol = getattr(getattr(files, "sync_fs", files), "protocol", ())
    local = "file" in (protocol if isinstance(protocol, tuple) else (protocol,))
    return str(Path(store.path).absolute() / node.path) if local else None


def source_of(node: zarr.Array[Any] | zarr.Group, axes: str | None) -> SourceRef | None:
    """Tell how another process opens a node."""
    path = local_path(node)
    return None if path is None else SourceRef("path", path, {"axes": axes} if axes else {})


def _open_node(source: object) -> zarr.Array[Any] | zarr.Group:
    import zarr
    from zarr.errors import BaseZarrError

    options = remote.storage_options(str(source))
    try:
        return zarr.open(str(source), mode="r", storage_options=options)
    except (BaseZarrError, OSError, ValueError, KeyError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{source} cannot be opened as zarr: {reason}. Give the folder that holds zarr.json, "
            ".zgroup or .zarray."
        ) from error


def _open_array(array: zarr.Array[Any], axes: str | None) -> Raster:
    if axes is None:
        names: Any = getattr(array.metadata, "dimension_names", None)
        names = names or array.attrs.get("_ARRAY_DIMENSIONS") or ()
        axes = ax.axes_from_labels([str(name) for name in names]) if names else None
        axes = axes or ("yx" if array.ndim == 2 else None)
    if axes is None:
        raise ax.unknown_axes(array.shape)
    source = source_of(array, axes)
    return Raster.from_array(array, axes, name=_name(array), source=source)


def _open_group(group: zarr.Group, axes: str | None) -> Raster:
    attributes: dict[str, Any] = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    ome = ome if isinstance(ome, Mapping) else {}
    if not ome.get("multiscales"):
        return _open_group(_only_image(group, ome), axes)
    multiscale = ome["multiscales"][0]
    levels = [_member(group, str(dataset["path"])) for dataset in multiscale["datasets"]]
    stated = axes or _axes(multiscale, levels[0].shape)
    order = ax.check_axes(stated, levels[0].shape)
    target = ax.canonical(order)
    options = {"name": multiscale.get("name") or _name(group), "order": order}
    options |= _channels(ome, order, levels[0].shape)
    if "image-label" in ome:
        options["kind"] = "labels"
    own = own_metadata.raster_options(attributes.get(own_metadata.KEY), target)
    placement = _placement(multiscale, order).permute(ax.permutation(order, target))
    options |= own
    options["placement"] = own_metadata.reconciled(
        own.get("placement"), placement, range(len(target))
    )
    raster = Raster.from_array(levels, order, **options)
    return _with_source(raster, group, axes)


def _with_source(raster: Raster, group: zarr.Group, axes: str | None) -> Raster:
    from dataclasses import replace

    return replace(raster, source=source_of(group, axes))


def _member(group: zarr.Group, path: str) -> zarr.Array[Any]:
    import zarr

    node = group.get(path)
    if not isinstance(node, zarr.Array):
        raise InputError(
            f"OME-Zarr {_name(group)!r} names a level {path!r} that is missing; the store is "
            "damaged or was not completely written or copied. Write or copy it again."
        )
    return node


def _only_image(group: zarr.Group, ome: Mapping[str, Any]) -> zarr.Group:
    """Find the image of a collection that has only one; an error lists the choice."""
    import zarr

    path = local_path(group) or _name(group)
    if "plate" in ome or "well" in ome:
        raise InputError(
            f"{path} is a plate or well of many images; give the folder of one field, such as "
            f"{path}/A/1/0 in a plate."
        )
    names = sorted(name for name, node in group.members() if isinstance(node, zarr.Group))
    names = list(ome.get("labels", names))
    images = [name for name in names if _is_image(group.get(name))]
    if len(images) == 1:
        chosen = group[images[0]]
        assert isinstance(chosen, zarr.Group)
        return chosen
    arrays = sorted(name for name, node in group.members() if isinstance(node, zarr.Array))
    raise InputError(
        f"{path} is a zarr group without OME-Zarr image metadata. It holds the images {images} "
        f"and the arrays {arrays}; give the path of one of them."
    )


def _is_image(node: object) -> bool:
    attributes = dict(getattr(node, "attrs", {}))
    return bool(attributes.get("ome", attributes).get("multiscales"))


def _axes(multiscale: Mapping[str, Any], shape: Sequence[int]) -> str:
    listed = multiscale.get("axes")
    if listed is None:
        # OME-Zarr 0.1 and 0.2 name no axes: they are always these five.
        return ax.CANONICAL
    names = [axis if isinstance(axis, str) else str(axis.get("name")) for axis in listed]
    kinds = ["" if isinstance(axis, str) else axis.get("type") for axis in listed]
    by_kind = {"time": "t", "channel": "c"}
    letters = [by_kind.get(kind) or name for kind, name in zip(kinds, names, strict=True)]
    axes = ax.axes_from_labels(letters)
    if axes is None:
        raise ax.unknown_axes(shape, str(tuple(names)))
    return axes


def _placement(multiscale: Mapping[str, Any], order: str) -> Placement:
    """Read scale and translation of level 0, then those of the whole multiscale."""
    n = len(order)
    scale, translate = np.ones(n), np.zeros(n)
    for holder in (multiscale["datasets"][0], multiscale):
        for transform in holder.get("coordinateTransformations") or ():
            if transform.get("type") == "scale" and "scale" in transform:
                scale, translate = scale * transform["scale"], translate * transform["scale"]
            elif transform.get("type") == "translation" and "translation" in transform:
                translate = translate + transform["translation"]
    listed = multiscale.get("axes") or [{}] * n
    units = [axis.get("unit") if isinstance(axis, Mapping) else None for axis in listed]
    return Placement.build(tuple(order), scale=scale, translate=translate, units=units)


def _channels(ome: Mapping[str, Any], order: str, shape: Sequence[int]) -> dict[str, Any]:
    """Read names, colours and display limits of the channels, as far as they are complete."""
    omero = ome.get("omero")
    listed = omero.get("channels") if isinstance(omero, Mapping) else None
    count = shape[order.index("c")] if "c" in order else 1
    if not listed or len(listed) != count:
        return {}
    names = tuple(str(channel.get("label") or "") for channel in listed)
    colours = [str(channel.get("color") or "") for channel in listed]
    windows = [channel.get("window") or {} for channel in listed]
    display: dict[str, Any] = {}
    if all(colours):
        display["colours"] = [colour_name(colour) for colour in colours]
    if all("start" in w and "end" in w for w in windows):
        display["limits"] = [[float(w["start"]), float(w["end"])] for w in windows]
    return {"channels": names if all(names) else (), "display": display}


COLOURS = {
    "gray": "FFFFFF", "red": "FF0000", "green": "00FF00", "blue": "0000FF", "cyan": "00FFFF",
    "magenta": "FF00FF", "yellow": "FFFF00", "orange": "FF8000",
}  # fmt: skip
"""Names that napari has as colour maps, and their RRGGBB in OME-Zarr."""


def colour_name(colour: str) -> str:
    """Give napari's name of an RRGGBB colour, or ``#rrggbb``."""
    code = colour.lstrip("#").upper()
    return next((name for name, value in COLOURS.items() if value == code), f"#{code.lower()}")


def colour_code(name: str) -> str:
    """Give RRGGBB of a colour name or ``#rrggbb``; white if it is unknown."""
    code = name.lstrip("#").upper()
    is_code = len(code) == 6 and set(code) <= set("0123456789ABCDEF")
    return code if is_code else COLOURS.get(name.lower().replace("grey", "gray"), "FFFFFF")


def _name(node: zarr.Array[Any] | zarr.Group) -> str:
    path = local_path(node)
    name = node.path.split("/")[-1] if path is None else Path(path).name
    return name.removesuffix(".zarr").removesuffix(".ome")
