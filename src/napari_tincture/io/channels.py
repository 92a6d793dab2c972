"""Several images as the channels of one, joined where they lie in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.placement import FloatArray, micrometres
from napari_tincture.raster import Raster, SourceRef

TOLERANCE = 0.05
"""Largest distance, in pixels, of grids that count as the same."""


def join_channels(rasters: Sequence[Raster]) -> Raster:
    """Join images along c.

    Grids that are the same but for whole pixels are joined on their common area; nothing is
    resampled.

    Parameters
    ----------
    rasters : sequence of Raster
        With the same axes apart from c and pixels in the same places to within 0.05 pixel.

    Returns
    -------
    Raster
        In the place of the first; channel names are those of the channels, else of the images.

    Raises
    ------
    InputError
        Naming the image that does not fit and by how much.
    """
    if not rasters:
        raise InputError("An empty list of images cannot be joined; give at least one image.")
    split = [_with_c(raster) for raster in rasters]
    offsets = [_offset(split[0], raster) for raster in split]
    joined = _on_common_area(split, offsets)
    return _concatenated(joined, rasters)


def _with_c(raster: Raster) -> Raster:
    """Give an image without c one channel."""
    if "c" in raster.axes:
        return replace(raster, rgb=False)
    position = 1 if raster.axes.startswith("t") else 0
    axes = raster.axes[:position] + "c" + raster.axes[position:]
    index = (slice(None),) * position + (None,)
    return replace(
        raster,
        levels=tuple(level[index] for level in raster.levels),
        axes=axes,
        placement=raster.placement.insert(position, "c"),
        channels=raster.channels or ((raster.name,) if raster.name else ()),
        order="",
        runner=None,
    )


def _offset(first: Raster, other: Raster) -> tuple[int, ...]:
    """Find by how many pixels of `first` the first pixel of `other` is displaced."""
    if other.axes != first.axes:
        raise InputError(
            f"{_label(other)} has axes {other.axes.replace('c', '')!r}, {_label(first)} has "
            f"{first.axes.replace('c', '')!r}; channels need the same axes. Choose single planes "
            "of the larger one, or give images with the same axes."
        )
    corners = np.array(list(product(*([0.0, n - 1.0] for n in other.shape))))
    inside = _to_pixels(first, _to_world(other, corners))
    distance = inside - corners
    offset = np.rint(distance[0])
    worst = float(np.abs(distance - offset).max())
    if worst > TOLERANCE:
        raise InputError(
            f"{_label(other)} is not aligned with {_label(first)}: their pixels are up to "
            f"{np.abs(distance).max():.3g} pixels apart, by no whole number of pixels. Give both "
            "the same scale, rotation and a translation of whole pixels, or resample one."
        )
    return tuple(int(o) for o in offset)


def _to_world(raster: Raster, points: FloatArray) -> FloatArray:
    matrix = in_micrometres(raster)
    return points @ matrix[:-1, :-1].T + matrix[:-1, -1]


def _to_pixels(raster: Raster, points: FloatArray) -> FloatArray:
    matrix = in_micrometres(raster)
    inverse = np.asarray(np.linalg.inv(matrix[:-1, :-1]), np.float64)
    return (points - matrix[:-1, -1]) @ inverse.T


def in_micrometres(raster: Raster) -> FloatArray:
    """Give data to world with lengths in µm; napari takes units that are none as plain numbers."""
    factors = [micrometres(unit) or 1.0 for unit in raster.units]
    return np.diag([*factors, 1.0]) @ raster.placement.matrix()


def _on_common_area(rasters: Sequence[Raster], offsets: Sequence[tuple[int, ...]]) -> list[Raster]:
    axes = rasters[0].axes
    space = [i for i, axis in enumerate(axes) if axis != "c"]
    ends = _ends(rasters, offsets)
    start, stop = np.zeros(len(axes), int), ends[0]
    for raster, offset, end in zip(rasters, offsets, ends, strict=True):
        start, stop = np.maximum(start, offset), np.minimum(stop, end)
        if np.any((stop - start)[space] <= 0):
            raise InputError(
                f"{_label(raster)} does not overlap with {_label(rasters[0])}; channels need a "
                "common area. Check the translation of both."
            )
    return [
        raster.crop({axes[i]: slice(int(start[i] - o[i]), int(stop[i] - o[i])) for i in space})
        for raster, o in zip(rasters, offsets, strict=True)
    ]


def _ends(rasters: Sequence[Raster], offsets: Sequence[tuple[int, ...]]) -> npt.NDArray[np.int_]:
    shapes = np.array([raster.shape for raster in rasters], dtype=np.int_)
    return np.array(offsets, dtype=np.int_) + shapes


def _concatenated(parts: Sequence[Raster], originals: Sequence[Raster]) -> Raster:
    import dask.array as da

    first = parts[0]
    axis = first.axes.index("c")
    dtype = np.result_type(*(raster.dtype for raster in parts))
    pyramids = [
        [level.shape[:axis] + level.shape[axis + 1 :] for level in raster.levels]
        for raster in parts
    ]
    depth = len(first.levels) if all(p == pyramids[0] for p in pyramids) else 1
    levels = [
        da.concatenate([raster.levels[i].astype(dtype) for raster in parts], axis=axis)
        for i in range(depth)
    ]
    names = [
        _channel_names(part, original) for part, original in zip(parts, originals, strict=True)
    ]
    sources = [original.source for original in originals]
    members = [source.to_json() for source in sources if source is not None]
    complete = len(members) == len(sources)
    return replace(
        first,
        levels=tuple(levels),
        channels=tuple(name for group in names for name in group),
        display={k: v for k, v in first.display.items() if k == "planes"},
        order="",
        kind="image",
        source=SourceRef("channels", "", {"members": members}) if complete else None,
        runner=None,
    )


def _channel_names(part: Raster, original: Raster) -> list[str]:
    count = part.sizes["c"]
    if len(part.channels) == count:
        several = count > 1 and original.name
        return [f"{original.name} {n}" if several else n for n in part.channels]
    prefix = original.name or "channel"
    return [prefix] if count == 1 else [f"{prefix} {i}" for i in range(count)]


def _label(raster: Raster) -> str:
    return f"Image {raster.name!r}" if raster.name else f"The image of shape {raster.shape}"
