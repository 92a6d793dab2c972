"""Virtual staining: a network's image of an image, on the same grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.models import Model
from napari_tincture.raster import Raster
from napari_tincture.recipe import Recipe
from napari_tincture.tasks._record import record
from napari_tincture.tasks._run import as_model, given_context, make_job, narrowed, opened
from napari_tincture.tiling.inputs import NonFinite
from napari_tincture.tiling.reading import OnReadError
from napari_tincture.tiling.result import as_raster


def stain(
    image: Any,
    model: str | Model | Any,
    *,
    channels: Mapping[str, Any] | Sequence[Any] | None = None,
    region: Any = None,
    context: Any = "auto",
    direction: Literal["forward", "backward"] = "forward",
    outputs: Sequence[str] = ("image",),
    device: str = "auto",
    precision: str = "auto",
    tile: int | Literal["auto"] = "auto",
    dtype: str = "auto",
    nonfinite: NonFinite = "error",
    on_read_error: OnReadError = "stop",
    pixel_size: Literal["refuse", "ignore"] = "refuse",
) -> Raster:
    """Stain an image virtually; nothing is computed until the result is read.

    Parameters
    ----------
    image
        Whatever `open_image` accepts. Axes t and z that the model does not take are run over
        plane by plane.
    model
        A name of `list_models`, a path, or a `Model`.
    channels
        Model input → channel (index or name), ``("z", index)``, or another image; see
        `napari_tincture.tasks.channels.map_channels`.
    region
        Part of the image in pixels: axis → (start, stop), or the corners of a rectangle. The
        result is the same as that part of the whole result.
    context
        How values that the network takes from the whole image are found. "auto": exactly while
        memory allows and the region is at least half of the image, else from samples of the whole
        image; the provenance says how well they agree, and a warning where they do not.
        "exact" insists, "sampled" and "tile" (each tile its own, as other tools do) are explicit.
        An earlier result, or its provenance, gives its values again.
    direction
        "forward", or "backward" for models that have both.
    outputs
        ``("image",)``, the only output of the models there are.
    device
        "auto" (the first CUDA device, else the CPU), "cpu", "cuda:1", "mps".
    precision
        "auto" is float32 with TF32 off; "bfloat16", "float16" and "tf32" are faster and less
        exact.
    tile
        Side of a tile's core in pixels. It does not change the result.
    dtype
        "auto": uint8 for colour, else float32. "float32": the network's values in the card's
        range. Integers: that range scaled to the type's.
    nonfinite
        What to do with NaN and infinity: "error", or "background".
    on_read_error
        What to do with a place that cannot be read, after several attempts: "stop" with an error
        that names it, or take the "background", the darkest value around it; then a warning and
        the provenance name it.
    pixel_size
        "refuse" images whose pixel size differs by more than 10 % from the model's, or "ignore".

    Returns
    -------
    Raster
        (t, c, z, y, x) as far as the image has t and z and the model more than one output;
        placement and units are the image's.

    Raises
    ------
    InputError
        If image, model, channels or region do not fit each other.
    ModelError
        If the model is unknown or damaged.
    DeviceError
        If the device or precision is not available.
    """
    found = as_model(model, "stain")
    _check_outputs(found, outputs, direction)
    given = opened(image)
    source, part = narrowed(given, region)
    settings = {
        "region": region,
        "channels": channels,
        "context": context,
        "device": device,
        "precision": precision,
        "tile": tile,
        "nonfinite": nonfinite,
        "on_read_error": on_read_error,
        "pixel_size": pixel_size,
    }
    job = make_job(source, found, {**settings, **part}, _dtype(dtype, found))
    name = f"{source.name} {found.card.name}".strip()
    settings["dtype"] = dtype
    provenance, sources = record("stain", given, found, settings)
    result = as_raster(job, source, name, provenance, sources)
    recipe = Recipe("stain", given, found, {**settings, "context": given_context(job)})
    return replace(result, recipe=recipe)


def _dtype(dtype: str, model: Model) -> np.dtype[Any]:
    if dtype == "auto":
        return np.dtype("uint8" if model.card.rgb_output else "float32")
    known = {np.dtype(name): name for name in ("uint8", "uint16", "float16", "float32")}
    try:
        chosen = np.dtype(dtype)
    except TypeError:
        chosen = None
    if chosen not in known:
        raise InputError(f"dtype={dtype!r}: expected auto, {', '.join(known.values())}.")
    return chosen


def _check_outputs(model: Model, outputs: Sequence[str], direction: str) -> None:
    if outputs != "image" and tuple(outputs) != ("image",):
        raise InputError(
            f"Model {model.card.name!r} offers the output 'image'; {list(outputs)} was asked for."
        )
    if direction != "forward":
        raise InputError(
            f"Model {model.card.name!r} has one direction, 'forward'; {direction!r} was asked for."
        )
