"""What a map of a metric holds: its values in a place, and the place where it is worst."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import in_this_thread
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster
from napari_tincture.tasks._boxes import Box

Values = npt.NDArray[np.float32]
WHOLE = 4 * 2**20
"""Pixels of a place up to which all its values are read; of larger ones, patches."""
SEARCHED = 64 * 2**20
"""Pixels that a search for the worst place reads at most."""
PATCH = 256
"""Side of a patch in pixels."""
STRIP = 1024
"""Rows of windows that are searched at a time."""


class Sample(NamedTuple):
    """Finite values of a map, and whether they are all that there are."""

    values: Values
    complete: bool


class Worst(NamedTuple):
    """The worst window: where it lies, and the mean of the map in it."""

    box: Box
    mean: float


def map_plane(raster: Raster, row: dict[str, Any], start: dict[str, int]) -> Raster:
    """The part (y, x) or (c, y, x) of a map that a row of the table is of.

    Parameters
    ----------
    raster
        A map.
    row
        Of the table.
    start
        Where along t and z the compared part of the reference begins.
    """
    index = {a: row[a] - start.get(a, 0) for a in raster.axes if a in "tz" and a in row}
    channels: list[Any] = list(raster.channels or range(raster.sizes.get("c", 1)))
    if "c" in raster.axes and row.get("channel") in channels:
        index["c"] = channels.index(row["channel"])
    return raster.plane(**index) if index else raster


def sample(plane: Raster, box: Box, cancel: CancelToken) -> Sample:
    """Values in a box of a map (…, y, x), of all channels; of patches where it is large."""
    (top, bottom), (left, right) = box
    if (bottom - top) * (right - left) <= WHOLE:
        found = [_read(plane, box, cancel).ravel()]
        complete = True
    else:
        found = [_read(plane, patch, cancel).ravel() for patch in _patches(box, PATCH, WHOLE)]
        complete = False
    values = np.concatenate(found)
    return Sample(values[np.isfinite(values)], complete)


def worst_place(
    plane: Raster, better: str, box: Box, cancel: CancelToken, side: int = PATCH
) -> Worst | None:
    """The window of a map whose mean is worst; None if no pixel has a value.

    All windows of a box are searched up to `SEARCHED` pixels, beyond that windows spread over it.
    Those of which more than half has no value do not count, unless there are no others.

    Parameters
    ----------
    plane
        (…, y, x); of several channels, their mean counts.
    better
        "higher" or "lower".
    box
        Where to search.
    side
        Of a window, in pixels; where the box is smaller, its side.
    """
    (top, bottom), (left, right) = box
    height, width = min(side, bottom - top), min(side, right - left)
    if (bottom - top) * (right - left) <= SEARCHED:
        parts = _strips(box, height)
    else:
        parts = _patches(box, side, SEARCHED)
    sign = 1.0 if better == "higher" else -1.0
    best: dict[bool, Worst] = {}
    for part in parts:
        values = _flat(_read(plane, part, cancel))
        means, full = _window_means(values, height, width)
        for enough in (True, False):
            chosen = np.where(full if enough else np.isfinite(means), sign * means, np.inf)
            y, x = np.unravel_index(int(chosen.argmin()), chosen.shape)
            mean = float(means[y, x])
            if np.isfinite(chosen[y, x]) and (
                enough not in best or sign * mean < sign * best[enough].mean
            ):
                y0, x0 = part[0][0] + int(y), part[1][0] + int(x)
                best[enough] = Worst(((y0, y0 + height), (x0, x0 + width)), mean)
    return best.get(True, best.get(False))


def whole(plane: Raster) -> Box:
    """All of a map."""
    height, width = plane.shape[-2:]
    return (0, height), (0, width)


def clipped(box: Box, plane: Raster, start: tuple[int, int]) -> Box | None:
    """A box of the whole reference in pixels of a map of its part that begins at (y, x)."""
    y, x = (
        (max(low - first, 0), min(high - first, n))
        for (low, high), first, n in zip(box, start, plane.shape[-2:], strict=True)
    )
    return (y, x) if y[0] < y[1] and x[0] < x[1] else None


def _read(plane: Raster, box: Box, cancel: CancelToken) -> Values:
    cancel.check()
    y, x = (slice(*edges) for edges in box)
    data = plane.data[(..., y, x)]
    result: Values = np.asarray(in_this_thread(data), np.float32)
    return result


def _flat(values: Values) -> npt.NDArray[np.float64]:
    """The mean over all axes but y and x."""
    result: npt.NDArray[np.float64] = values.reshape(-1, *values.shape[-2:]).mean(
        axis=0, dtype=np.float64
    )
    return result


def _strips(box: Box, height: int) -> Iterator[Box]:
    (top, bottom), columns = box
    for first in range(top, bottom - height + 1, STRIP):
        yield (first, min(first + STRIP - 1 + height, bottom)), columns


def _patches(box: Box, side: int, pixels: int) -> Iterator[Box]:
    """Squares spread evenly over a box, which together have so many pixels at most."""
    (top, bottom), (left, right) = box
    height, width = bottom - top, right - left
    step = max(side, np.sqrt(height * width * side * side / pixels))
    rows, columns = max(1, int(height / step)), max(1, int(width / step))
    for i, j in np.ndindex(rows, columns):
        y = top + max(0, min(int((i + 0.5) * height / rows) - side // 2, height - side))
        x = left + max(0, min(int((j + 0.5) * width / columns) - side // 2, width - side))
        yield (y, min(y + side, bottom)), (x, min(x + side, right))


def _window_means(
    values: npt.NDArray[np.float64], height: int, width: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Means of all windows, NaN where there is no value, and which have values in half of them."""
    known = np.isfinite(values)
    # Small numbers first: sums of a large offset would hide them.
    offset = values[known].mean() if known.any() else 0.0
    total = _window_sums(np.where(known, values - offset, 0.0), height, width)
    count = np.rint(_window_sums(known.astype(np.float64), height, width))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(count > 0, total / count + offset, np.nan)
    return means, count * 2 >= height * width


def _window_sums(
    values: npt.NDArray[np.float64], height: int, width: int
) -> npt.NDArray[np.float64]:
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(values, axis=0, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    result: npt.NDArray[np.float64] = (
        table[height:, width:] - table[:-height, width:] - table[height:, :-width]
        + table[:-height, :-width]
    )  # fmt: skip
    return result
