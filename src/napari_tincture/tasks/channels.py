"""Which channel, plane or layer each input of a model is taken from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.io.channels import in_micrometres
from napari_tincture.io.open import open_image
from napari_tincture.models.card import ModelCard, copies_of_grey
from napari_tincture.raster import Raster
from napari_tincture.tasks._noise import noise
from napari_tincture.tiling.inputs import Inputs, Lane, NonFinite

Choice = Any
"""An index or name along c; ``"z"`` or ``("z", 3)``; or another image of the same grid."""

GRID_TOLERANCE = 0.05
"""Pixels by which the grids of joined images may differ in world coordinates."""


def map_channels(
    image: Raster,
    card: ModelCard,
    channels: Mapping[str, Choice] | Sequence[Choice] | None = None,
    nonfinite: NonFinite = "error",
    outer: Mapping[str, slice] | None = None,
    seed: int = 0,
) -> Inputs:
    """Find a source for every input of a model.

    Parameters
    ----------
    image
        The image; its leading axes that no input uses are run over plane by plane.
    card
        Names the inputs.
    channels
        Input name → where it comes from: an index or name along c, ``("z", index)``, or another
        image. A name that begins several inputs' names (``{"phase": "z"}`` for ``phase_z00``,
        ``phase_z02`` …) takes them in order along that axis. A sequence gives the inputs in order.
        None: by name where all names are found, else in order along c, or along z where z has
        just as many planes and there is no c.
    nonfinite
        As in `Inputs`.
    outer
        The part along t and z that `image` was cropped to; other images are cropped alike.
    seed
        Of the noise that models take beside the image, where `channels` names no image for it.

    Raises
    ------
    InputError
        If an input has no source, or sources do not lie on one grid; says which and what there is.
    """
    given = dict(channels) if isinstance(channels, Mapping) else {}
    drawn = [channel.name for channel in card.noise_inputs]
    named = {name: given.pop(name) for name in drawn if name in given}
    rest = (given or None) if isinstance(channels, Mapping) else channels
    lanes = _image_lanes(image, card, rest, outer or {})
    for name in drawn:
        lane = (
            _lane(image, name, named[name], outer or {})
            if name in named
            else Lane(noise(image, name, seed, outer or {}), {})
        )
        lanes = (*lanes, replace(lane, drawn=True))
    names = [channel.name for channel in (*card.image_inputs, *card.noise_inputs)]
    used = {axis for lane in lanes if lane.raster is image for axis in lane.at}
    leading = "".join(a for a in image.axes if a in "tz" and a not in used)
    for name, lane in zip(names, lanes, strict=True):
        _check_axes(name, lane, leading)
        if lane.raster is not image:
            _check_grid(image, name, lane.raster, leading)
    return Inputs(lanes, leading, nonfinite)


def _image_lanes(
    image: Raster,
    card: ModelCard,
    channels: Mapping[str, Choice] | Sequence[Choice] | None,
    outer: Mapping[str, slice],
) -> tuple[Lane, ...]:
    names = [channel.name for channel in card.image_inputs]
    if channels is None:
        chosen = dict(zip(names, _automatic(image, card, names), strict=True))
    elif isinstance(channels, Mapping):
        chosen = _by_name(image, names, channels)
    else:
        chosen = _in_order(names, list(channels))
    return tuple(_lane(image, name, choice, outer) for name, choice in chosen.items())


def _automatic(image: Raster, card: ModelCard, names: list[str]) -> list[Choice]:
    count = len(names)
    planes = list(image.display.get("planes") or ())
    available = image.sizes.get("c", 1)
    if image.rgb and available == 4:
        available = 3
    if "c" in image.axes and not image.rgb and set(names) <= set(image.channels):
        return [image.channels.index(name) for name in names]
    if "z" in image.axes and count > 1 and set(names) <= set(planes):
        return [("z", planes.index(name)) for name in names]
    if available == 1 and copies_of_grey(names):
        return [0] * count
    if available == count and not copies_of_grey(names):
        return list(range(count))
    if count > 1 and "c" not in image.axes and image.sizes.get("z") == count:
        return [("z", index) for index in range(count)]
    wanted = ", ".join(names)
    raise InputError(
        f"Model {card.name!r} takes {count} channels ({wanted}); image {image.name!r} has "
        f"{_describe(image)}. Say which to use, for example channels={{{names[0]!r}: 0}}"
        + (f" or channels={{{_stem(names)!r}: 'z'}} for planes along z." if count > 1 else ".")
    )


def _describe(image: Raster) -> str:
    sizes = ", ".join(f"{axis}={size}" for axis, size in image.sizes.items())
    named = f" with channels {', '.join(image.channels)}" if image.channels else ""
    return f"{sizes}{named}"


def _stem(names: list[str]) -> str:
    first, last = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return first[:length].rstrip("_0123456789z") or first


def _by_name(image: Raster, names: list[str], given: Mapping[str, Choice]) -> dict[str, Choice]:
    chosen: dict[str, Choice] = {}
    for key, choice in given.items():
        members = [key] if key in names else [name for name in names if name.startswith(key)]
        if not members:
            raise InputError(
                f"The model has no input {key!r}; its inputs are {', '.join(names)}. Name one of "
                "them, or how several begin."
            )
        if isinstance(choice, str) and choice in ("c", "z"):
            size = image.sizes.get(choice, 0)
            if size < len(members):
                raise InputError(
                    f"Inputs {', '.join(members)} are to come from {len(members)} places along "
                    f"{choice}, but image {image.name!r} has {_describe(image)}. Name a source for "
                    "each of them."
                )
            chosen |= {member: (choice, i) for i, member in enumerate(members)}
        else:
            chosen |= dict.fromkeys(members, choice)
    missing = [name for name in names if name not in chosen]
    if missing:
        raise InputError(
            f"channels= does not say where {', '.join(missing)} come from. Image {image.name!r} "
            f"has {_describe(image)}. Name a channel, a plane or an image for each input."
        )
    return {name: chosen[name] for name in names}


def _in_order(names: list[str], given: list[Choice]) -> dict[str, Choice]:
    if len(given) != len(names):
        raise InputError(
            f"channels= names {len(given)} sources; the model takes {len(names)}: "
            f"{', '.join(names)}. Give one source for each, in this order."
        )
    return dict(zip(names, given, strict=True))


def _lane(image: Raster, name: str, choice: Choice, outer: Mapping[str, slice]) -> Lane:
    if isinstance(choice, bool) or choice is None:
        raise InputError(f"Input {name!r} cannot come from {choice!r}; give a channel or an image.")
    if isinstance(choice, int | np.integer):
        return _along(image, name, "c", int(choice))
    if is_place(choice):
        if isinstance(choice[1], bool) or not isinstance(choice[1], int | np.integer):
            raise InputError(
                f"Input {name!r} cannot come from {choice!r}: expected an axis and an index along "
                f"it, such as ({choice[0]!r}, 0)."
            )
        return _along(image, name, choice[0], int(choice[1]))
    if isinstance(choice, str) and choice in image.channels:
        return _along(image, name, "c", image.channels.index(choice))
    if isinstance(choice, str) and choice in (image.display.get("planes") or ()):
        return _along(image, name, "z", list(image.display["planes"]).index(choice))
    if isinstance(choice, str) and not ("/" in choice or "." in choice or Path(choice).exists()):
        raise InputError(
            f"Input {name!r} is to come from channel {choice!r}; image {image.name!r} has "
            f"{_describe(image)}. Give the name or the index of one of its channels, or an image."
        )
    other = open_image(choice)
    if other.sizes.get("c", 1) != 1:
        raise InputError(
            f"Input {name!r} is to come from image {other.name!r}, which has {_describe(other)}. "
            "Expected one channel: crop it to one first."
        )
    part = {axis: edges for axis, edges in outer.items() if axis in other.axes}
    return Lane(other.crop(part) if part else other, {"c": 0} if "c" in other.axes else {})


def is_place(choice: Any) -> bool:
    """Tell whether a choice is an axis with an index along it."""
    pair = isinstance(choice, tuple | list) and len(choice) == 2
    return pair and isinstance(choice[0], str) and choice[0] in ("c", "z", "t")


def _along(image: Raster, name: str, axis: str, index: int) -> Lane:
    size = image.sizes.get(axis, 1 if axis == "c" else 0)
    if not -size <= index < size:
        choice = f"an index from 0 to {size - 1}" if size else "a channel or an image"
        raise InputError(
            f"Input {name!r} is to come from {axis}={index}; image {image.name!r} has "
            f"{_describe(image)}. Give {choice}."
        )
    at = {axis: index % size} if axis in image.axes else {}
    return Lane(image, {"c": 0} | at if image.sizes.get("c") == 1 else at)


def _check_axes(name: str, lane: Lane, leading: str) -> None:
    """Every axis of a lane's image is either run over or fixed by the lane."""
    for axis in lane.raster.axes:
        if axis not in leading + "yx" and axis not in lane.at:
            fixed = ", ".join(f"{a}={i}" for a, i in lane.at.items()) or "the whole"
            raise InputError(
                f"Input {name!r} is to come from {fixed} of image {lane.raster.name!r}, which has "
                f"{_describe(lane.raster)}: it is not said which {axis}. Take one first, for "
                f"example with image.plane({axis}=0)."
            )


def _check_grid(image: Raster, name: str, other: Raster, leading: str) -> None:
    shared = [axis for axis in leading + "yx" if axis in "yx" or axis in other.axes]
    if any(other.sizes[axis] != image.sizes[axis] for axis in shared):
        raise InputError(
            f"Input {name!r} comes from image {other.name!r} of {_describe(other)}, which does not "
            f"fit {image.name!r} of {_describe(image)}. Crop or resample it first."
        )
    gap = _grid_gap(image, other)
    if gap > GRID_TOLERANCE:
        raise InputError(
            f"Input {name!r} comes from image {other.name!r}, which lies {gap:.3g} pixels away "
            f"from {image.name!r} in world coordinates. Align the layers, or resample one."
        )


def _grid_gap(first: Raster, second: Raster) -> float:
    """Largest distance, in pixels of `first`, between the corners of two grids of equal size."""
    corners = np.array([[y, x, 1.0] for y in (0, first.sizes["y"]) for x in (0, first.sizes["x"])])
    a, b = (_plane_matrix(raster) for raster in (first, second))
    back = np.linalg.pinv(a[:, :2])
    distance = (corners @ b.T - corners @ a.T) @ back.T
    return float(np.abs(distance).max())


def _plane_matrix(raster: Raster) -> np.ndarray[Any, Any]:
    """World position (y, x) of a pixel (y, x, 1), in µm; other axes at their first plane."""
    matrix = in_micrometres(raster)
    return matrix[np.ix_([-3, -2], [-3, -2, -1])]
