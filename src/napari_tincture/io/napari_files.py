"""Files as layers and layers as files, for napari's Open and Save."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.errors import InputError, OutputError
from napari_tincture.io.ome_zarr import colour_name
from napari_tincture.io.open import open_image
from napari_tincture.io.own_files import own_object
from napari_tincture.layers import from_layer_data, to_layer, to_layers
from napari_tincture.raster import LayerData, Raster

Reader = Callable[[Any], list[LayerData]]


def get_reader(path: Any) -> Reader | None:
    """Offer to open an OME-Zarr or OME-TIFF that this package wrote, and nothing else.

    Parameters
    ----------
    path : str, path or list of these
        What a person opens; a list is a stack, which is left to others.

    Returns
    -------
    callable or None
        `read`, or None for files of other programs, judged by their metadata alone.
    """
    if isinstance(path, (list, tuple)):
        return None
    return None if own_object(os.fspath(path)) is None else read


def read(path: Any) -> list[LayerData]:
    """Open an image as layers: one per channel, one for a colour image or label map.

    Label images inside an OME-Zarr image come as further layers. Placement, units, pyramid,
    names, colours and provenance are restored.
    """
    # It loads ome-zarr-models, for which nobody waits who opens a file of another program.
    from napari_tincture.io.label_groups import label_paths

    image = open_image(path)
    layers = to_layers(image) if image.kind == "image" else [to_layer(image)]
    inside = [] if "://" in str(path) else label_paths(Path(path))
    return layers + [to_layer(open_image(labels)) for labels in inside]


def write(path: str | Path, data: Any, options: Mapping[str, Any]) -> list[str]:
    """Save an image layer, with or without pyramid; the name's end chooses the format.

    What is there already is replaced, as napari asks before it saves.

    Parameters
    ----------
    path
        Ends in ``.ome.zarr``, ``.zarr``, ``.ome.tif`` or ``.ome.tiff``.
    data
        The layer's data; a list for a pyramid.
    options
        Its other attributes, as ``layer.as_layer_data_tuple()`` gives them.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    OutputError
        If it cannot be written, or the axes of a layer of three or more dimensions are unknown.
    """
    image = _raster(data, options, "image")
    return [str(_as_shown(image, options).save(path, overwrite=True))]


def write_labels(path: str | Path, data: Any, options: Mapping[str, Any]) -> list[str]:
    """Save a labels layer; see `write`."""
    return [str(_raster(data, options, "labels").save(path, overwrite=True))]


def _raster(data: Any, options: Mapping[str, Any], kind: str) -> Raster:
    try:
        return from_layer_data(data, options, kind)
    except InputError as error:
        # napari takes a ValueError for a writer that does not want to, and hides its reason.
        raise OutputError(str(error)) from error


def _as_shown(image: Raster, options: Mapping[str, Any]) -> Raster:
    """Keep the contrast limits and, of one channel, the colour that a person sees."""
    count = image.sizes.get("c", 1)
    display = dict(image.display)
    limits = options.get("contrast_limits")
    if limits is not None and not image.rgb:
        display["limits"] = [[float(v) for v in limits]] * count
    colour = None if image.rgb or count > 1 else _colour(options.get("colormap"))
    if colour is not None:
        display["colours"] = [colour]
    return replace(image, display=display)


def _colour(colormap: Any) -> str | None:
    """Give the brightest colour of a map that begins black; others no file format can say."""
    colours: Sequence[Any] = colormap.get("colors", ()) if isinstance(colormap, Mapping) else ()
    if len(colours) != 2 or np.any(np.asarray(colours[0])[:3]):
        return None
    red, green, blue = (round(float(v) * 255) for v in np.asarray(colours[1])[:3])
    return colour_name(f"{red:02x}{green:02x}{blue:02x}")
