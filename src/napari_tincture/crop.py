"""Regions and planes of a raster, which stay where they are in the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_tincture.arrays import Index, as_dask, cut, memory_of
from napari_tincture.errors import InputError

if TYPE_CHECKING:
    import dask.array as da

    from napari_tincture.raster import Raster


def crop(raster: Raster, region: Mapping[str, slice]) -> Raster:
    """Cut out a region; see `Raster.crop`.

    Pyramid levels are kept as far as the region starts and ends on their pixels.
    """
    _check_names(raster, region)
    index = tuple(_bounds(raster, axis, region.get(axis, slice(None))) for axis in raster.axes)
    if all(s == slice(0, n) for s, n in zip(index, raster.shape, strict=True)):
        return raster
    steps = {a: [s.start, s.stop] for a, s in zip(raster.axes, index, strict=True) if a in region}
    display = _crop_names(raster, dict(zip(raster.axes, index, strict=True)))
    names = index[raster.axes.index("c")] if "c" in raster.axes else slice(None)
    return replace(
        raster,
        levels=tuple(_crop_levels(raster, index)),
        placement=raster.placement.crop([s.start for s in index]),
        channels=raster.channels[names],
        rgb=raster.rgb and names in (slice(None), slice(0, raster.sizes["c"]), slice(0, 3)),
        display=display,
        source=raster.source.then("crop", steps) if raster.source else None,
        runner=None,
    )


def plane(raster: Raster, index: Mapping[str, int]) -> Raster:
    """Take single planes; see `Raster.plane`."""
    _check_names(raster, index, "tcz")
    region = {a: _one(raster, a, i) for a, i in index.items()}
    result = crop(raster, region)
    for axis in index:
        result = _squeeze(result, axis)
    steps = {axis: s.start for axis, s in region.items()}
    source = raster.source.then("plane", steps) if raster.source else None
    return replace(result, source=source)


def _squeeze(raster: Raster, axis: str) -> Raster:
    position = raster.axes.index(axis)
    at = (slice(None),) * position + (0,)
    axes = raster.axes.replace(axis, "")
    return replace(
        raster,
        levels=tuple(_cut(level, at, axes) for level in raster.levels),
        axes=axes,
        order=raster.order.replace(axis, ""),
        placement=raster.placement.drop(position),
        rgb=raster.rgb and axis != "c",
    )


def _crop_levels(raster: Raster, index: Index) -> list[da.Array]:
    result: list[da.Array] = []
    for level in raster.levels:
        bounds = []
        for whole, size, s in zip(raster.shape, level.shape, index, strict=True):
            factor = max(round(whole / size), 1)
            ends = s.stop == whole or s.stop % factor == 0
            if s.start % factor or not ends or -(-whole // factor) != size:
                return result
            bounds.append(slice(s.start // factor, -(-s.stop // factor)))
        result.append(_cut(level, tuple(bounds), raster.axes))
    return result


def _cut(level: da.Array, index: tuple[Any, ...], axes: str) -> da.Array:
    memory = memory_of(level)
    return cut(level, index) if memory is None else as_dask(memory[index], axes)


def _crop_names(raster: Raster, index: Mapping[str, slice]) -> dict[str, Any]:
    axis_of = {"colours": "c", "limits": "c", "planes": "z"}
    return {
        key: value[index[axis]] if (axis := axis_of.get(key, "")) in index else value
        for key, value in raster.display.items()
    }


def _check_names(raster: Raster, given: Mapping[str, Any], allowed: str = "tczyx") -> None:
    for axis in given:
        if axis not in raster.axes or axis not in allowed:
            choice = [a for a in raster.axes if a in allowed]
            raise InputError(
                f"Image {raster.name!r} has no axis {axis!r} to choose from; it has {choice} "
                f"(axes {raster.axes!r}, shape {raster.shape})."
            )


def _bounds(raster: Raster, axis: str, given: slice) -> slice:
    start, stop, step = given.indices(raster.sizes[axis])
    if step != 1 or stop <= start:
        raise InputError(
            f"Region {axis}={given} of image {raster.name!r} is empty or has a step; give "
            f"slice(start, stop) within 0 and {raster.sizes[axis]}."
        )
    return slice(start, stop)


def _one(raster: Raster, axis: str, index: int) -> slice:
    size = raster.sizes[axis]
    if not -size <= index < size:
        raise InputError(
            f"Image {raster.name!r} has no plane {axis}={index}; {axis} goes from 0 to {size - 1}."
        )
    return slice(index % size, index % size + 1)
