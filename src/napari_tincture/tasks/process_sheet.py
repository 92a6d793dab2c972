"""What a model does to an image, on one sheet: there, back, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.errors import InputError, OutputError
from napari_tincture.models import Model
from napari_tincture.models.directions import turned
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._answers import directed
from napari_tincture.tasks._means import Means
from napari_tincture.tasks._region import as_region
from napari_tincture.tasks._run import as_model, measured, opened
from napari_tincture.tasks._sheet_figure import Row, write_sheet
from napari_tincture.tasks._values import as_network_sees
from napari_tincture.tasks.outputs import Outputs
from napari_tincture.tasks.stain import stain

SHOWN = ("image", "heatmap", "reconstruction", "cycle_error", "realism")
SUFFIXES = (".png", ".pdf", ".svg")
SIDE = 1024
"""Side in pixels of what is taken of a larger image, unless a region is given."""


def process_sheet(
    image: Any,
    model: str | Model | Any,
    path: str | PathLike[str] | None = None,
    *,
    target: Any = None,
    region: Any = None,
    direction: str = "forward",
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    **settings: Any,
) -> Path:
    """Draw what a model does to an image as one figure.

    From left to right the image, its stain, what the way back makes of it, cycle error and
    realism, as far as the model offers them; heat maps below what was made by looking there.

    Parameters
    ----------
    image
        Whatever `open_image` accepts; of t and z the middle plane is drawn.
    model
        A name, a path, or a `Model`.
    path
        ``.png``, ``.pdf`` or ``.svg``; "process_sheet.png" if none is given. Needs matplotlib
        (``pip install napari-tincture[report]``).
    target
        An image of the other domain: a second row leads it the other way, if the model does.
    region
        As in `stain`; else the middle of the image, at most 1024 pixels a side. Of the target,
        the middle.
    direction
        Of the first row.
    progress, cancel
        As in every call that computes.
    **settings
        As in `stain`: channels, context, device, precision, samples, seed, …

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If matplotlib is missing, the name ends otherwise, or the file cannot be written.
    InputError
        As in `stain`; or there is a target, and the model has one direction only.
    """
    file = _checked(path)
    found = as_model(model, "stain")
    if target is not None and "backward" not in found.card.parts:
        raise InputError(
            f"Model {found.card.name!r} has one direction; an image of the other domain means "
            "nothing to it. Leave target= out."
        )
    ways = [(image, region, direction, settings)]
    if target is not None:
        other = "backward" if direction == "forward" else "forward"
        # Channels are chosen for the first image.
        rest = {key: value for key, value in settings.items() if key != "channels"}
        ways.append((target, None, other, rest))
    report, token = as_callback(progress), cancel or CancelToken()
    rows = []
    for number, (source, bounds, way, options) in enumerate(ways):
        part, part_of_work = _part(opened(source), bounds), share(report, number, len(ways))
        row = _row(part, directed(found, way), options, part_of_work, token)
        rows.append(replace(row, way=way))
    return write_sheet(rows, found.card.name, file)


def _checked(path: str | PathLike[str] | None) -> Path:
    file = Path(path or "process_sheet.png").expanduser()
    if file.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{file} names no kind of figure. End it with {', '.join(SUFFIXES)}.")
    return file


def _part(image: Raster, region: Any) -> Raster:
    """One plane of the image, as large as it is to be drawn."""
    bounds = as_region(region, image)
    if not {"y", "x"} & set(bounds):
        for axis in "yx":
            size = image.sizes[axis]
            side = min(size, SIDE)
            bounds = {**bounds, axis: ((size - side) // 2, (size - side) // 2 + side)}
    return image.crop({axis: slice(*edges) for axis, edges in bounds.items()})


def _row(
    image: Raster, model: Model, settings: dict[str, Any], progress: Progress, cancel: CancelToken
) -> Row:
    card = model.card
    names = [name for name in SHOWN if name in card.offers]
    if "channels" not in settings:
        settings = {**settings, "channels": None}
    values = stain(
        image, as_network_sees(card.normalisation, card.image_inputs, card.rgb_input),
        channels=_in_order(settings["channels"]), pixel_size="ignore",
    )  # fmt: skip
    lazy = stain(image, model, outputs=names, **settings)
    found = lazy if isinstance(lazy, Outputs) else Outputs({names[0]: lazy}, lazy)
    arrays = _computed(found, progress, cancel)
    means = Means()
    for name, raster in arrays.items():
        means.add(name, np.asarray(raster))
    there = {"input": _computed({"": values}, None, cancel)[""], **arrays}
    if "heatmap" in names and "reconstruction" in names:
        there["heatmap back"] = _heat_of_the_way_back(image, model, settings, cancel)
    middle = {axis: size // 2 for axis, size in image.sizes.items() if axis in "tz"}
    planes = {
        name: raster.plane(**{a: i for a, i in middle.items() if a in raster.axes})
        for name, raster in there.items()
    }
    return Row(image.name, "", planes, means.figures, bool(card.calibration), image.pixel_size)


def _heat_of_the_way_back(
    image: Raster, model: Model, settings: dict[str, Any], cancel: CancelToken
) -> Raster:
    """Where the network that leads back looked, in the stain."""
    back = turned(model)
    # The stain is in the values of its network.
    plain = measured(back.with_card(back.card.replace(normalisation=Normalisation("none"))))
    stained = stain(image, model, **{**settings, "dtype": "float32"})
    rest = {key: value for key, value in settings.items() if key not in ("channels", "context")}
    heat = stain(stained, plain, outputs=("heatmap",), **rest)
    return _computed({"": heat}, None, cancel)[""]


def _in_order(channels: Any) -> Any:
    """Names of inputs mean nothing to a model of values; their order does."""
    return list(channels.values()) if isinstance(channels, dict) else channels


def _computed(results: Any, progress: Progress | None, cancel: CancelToken) -> dict[str, Raster]:
    """The results in memory."""
    if isinstance(results, Outputs) and results.together is not None and len(results) > 1:
        arrays = results.compute(progress, cancel)
    else:
        arrays = {name: raster.compute(progress, cancel) for name, raster in results.items()}
    return {
        name: replace(
            raster,
            levels=Raster.from_array(arrays[name], raster.axes).levels,
            runner=None,
            call=None,
        )
        for name, raster in results.items()
    }
