"""Small pictures of images and of maps, for people to look at."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import in_memory
from napari_tincture.raster import Raster

Picture = npt.NDArray[np.uint8]
"""(y, x, 3): red, green, blue."""
SIDE = 720
"""Of a picture in pixels, at most."""
NOTHING = (128, 128, 128)
"""Where a map has no value."""
_COLOURS = {
    "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "cyan": (0, 1, 1),
    "magenta": (1, 0, 1), "yellow": (1, 1, 0), "gray": (1, 1, 1), "grey": (1, 1, 1),
}  # fmt: skip
# Nine points of matplotlib's viridis, between which colours are interpolated.
_VIRIDIS = np.array(
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ],
    np.float64,
)  # fmt: skip


def picture_of(image: Raster, side: int = SIDE) -> Picture:
    """The first plane of an image, no larger than `side`, in the colours of its channels."""
    plane = image.plane(**{axis: 0 for axis in image.axes if axis in "tz"})
    fitting = [level for level in plane.levels if max(level.shape[-2:]) >= side]
    level = fitting[-1] if fitting else plane.levels[0]
    step = max(1, -(-max(level.shape[-2:]) // side))
    values = in_memory(level[..., ::step, ::step]).astype(np.float64)
    values = values if values.ndim == 3 else values[None]
    if image.kind == "labels":
        return _labels(values[0])
    if image.rgb:
        top = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
        return _bytes(np.moveaxis(values[:3] / top, 0, -1))
    names = list(image.display.get("colours") or ())
    limits = list(image.display.get("limits") or ())
    total = np.zeros((*values.shape[1:], 3))
    named = [*names, *["gray"] * len(values)][: len(values)]
    for number, (channel, name) in enumerate(zip(values, named, strict=True)):
        seen = _stretched(channel, limits[number : number + 1])
        # Of channels of one colour the mean, which stays within its range.
        total += seen[..., None] * _colour(name) / named.count(name)
    return _bytes(total)


def picture_of_map(values: npt.NDArray[np.floating[Any]], low: float, high: float) -> Picture:
    """A map (y, x) in viridis between two values, grey where it is NaN."""
    span = high - low or 1.0
    place = np.clip(np.nan_to_num((values - low) / span), 0, 1) * (len(_VIRIDIS) - 1)
    points = np.arange(len(_VIRIDIS))
    rgb = np.stack([np.interp(place, points, _VIRIDIS[:, c]) for c in range(3)], axis=-1)
    result: Picture = np.rint(rgb).astype(np.uint8)
    result[np.isnan(values)] = NOTHING
    return result


def shrunk(values: npt.NDArray[Any], side: int = SIDE) -> npt.NDArray[np.float32]:
    """Means of squares of a map (y, x), so that it is no larger than `side`; NaN counts not."""
    step = max(1, -(-max(values.shape) // side))
    pad = [(0, -n % step) for n in values.shape]
    padded = np.pad(values.astype(np.float32), pad, constant_values=np.nan)
    rows, columns = (n // step for n in padded.shape)
    squares = padded.reshape(rows, step, columns, step)
    there = np.isfinite(squares)
    counts = there.sum(axis=(1, 3))
    sums = np.where(there, squares, 0).sum(axis=(1, 3))
    result: npt.NDArray[np.float32] = np.where(counts, sums / np.maximum(counts, 1), np.nan)
    return result


def as_uri(picture: Picture) -> str:
    """A picture as PNG, to be put into a page."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _stretched(channel: npt.NDArray[np.float64], limits: Sequence[Any]) -> npt.NDArray[np.float64]:
    low, high = limits[0] if limits else np.nanpercentile(channel, (1, 99.8))
    result: npt.NDArray[np.float64] = np.clip((channel - low) / ((high - low) or 1), 0, 1)
    return result


def _colour(name: Any) -> npt.NDArray[np.float64]:
    text = str(name).lower()
    if text.startswith("#") and len(text) >= 7:
        return np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.array(_COLOURS.get(text, (1, 1, 1)), np.float64)


def _labels(values: npt.NDArray[Any]) -> Picture:
    """Each label in a colour of its own, 0 in black."""
    ids = values.astype(np.uint64)
    mixed = ids * np.uint64(2654435761)
    channels = [64 + ((mixed >> np.uint64(shift)) % np.uint64(192)) for shift in (8, 16, 24)]
    result = np.stack(channels, axis=-1).astype(np.uint8)
    result[ids == 0] = 0
    return result


def _bytes(values: npt.NDArray[np.float64]) -> Picture:
    result: Picture = np.rint(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)
    return result
