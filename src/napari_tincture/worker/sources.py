"""How a raster of napari's process becomes a raster of the worker.

A raster that was opened from a path is opened again by the worker. Any other stays where it is:
the worker gets an array-like whose windows are asked for over the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import dask.array as da
import numpy as np

from napari_tincture.arrays import in_memory
from napari_tincture.errors import InputError, ReadError
from napari_tincture.io.provenance import plain
from napari_tincture.placement import Placement
from napari_tincture.raster import Raster, SourceRef
from napari_tincture.worker.settings import JobSettings

Fetch = Callable[[int, list[list[int]]], np.ndarray]
"""Level and (start, stop) per axis in, pixels out."""

SOURCE = "source"
"""Names the number of one of a job's sources, where an argument of its task is an image."""
_LARGEST_CHUNK = 2048


@dataclass(frozen=True)
class Behind:
    """The runner of a live layer's raster: what the worker computes it of.

    Attributes
    ----------
    settings
        The task and its arguments.
    sources
        The images of the task.
    channel
        The one channel of the result that the layer shows; None for all.
    """

    settings: JobSettings
    sources: tuple[Raster, ...]
    channel: int | None

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        """Only the worker has the network."""
        raise InputError(
            f"The live layer made by {self.settings.model!r} is computed in another process. Save "
            "it from its panel first, or choose it as the layer of a panel."
        )

    stream = freeze = identity = rounds = perform = continuing = outcome = _refuse


def expand(sources: Sequence[Raster]) -> tuple[Raster, ...]:
    """Add to some sources all that those of live layers are computed of."""
    found = list(sources)
    for raster in found:  # grows while it is walked
        if isinstance(raster.runner, Behind):
            found += [s for s in raster.runner.sources if not any(s is other for other in found)]
    return tuple(found)


def describe_all(sources: Sequence[Raster]) -> list[dict[str, Any]]:
    """Give what the worker must know of the sources that `expand` gave."""
    return [
        _describe_made(s, sources) if isinstance(s.runner, Behind) else describe(s) for s in sources
    ]


def _describe_made(raster: Raster, sources: Sequence[Raster]) -> dict[str, Any]:
    behind = raster.runner
    assert isinstance(behind, Behind)
    numbers = [next(i for i, s in enumerate(sources) if s is own) for own in behind.sources]
    made = {"settings": behind.settings.to_json(), "of": numbers, "channel": behind.channel}
    return {"made": made, **attributes(raster)}


def describe(raster: Raster) -> dict[str, Any]:
    """Give what the worker must know of a raster; JSON-able, without pixels."""
    return {
        "source": None if raster.source is None else raster.source.to_json(),
        "levels": [_describe_level(level) for level in raster.levels],
        **attributes(raster),
    }


def attributes(raster: Raster) -> dict[str, Any]:
    """Give the attributes of a raster that are not its levels; JSON-able."""
    return {
        "axes": raster.axes,
        "kind": raster.kind,
        "placement": raster.placement.to_json(),
        "name": raster.name,
        "rgb": raster.rgb,
        "channels": list(raster.channels),
        "display": dict(raster.display),
        "provenance": plain(raster.provenance),
        "order": raster.order,
    }


def build(levels: Sequence[np.ndarray | da.Array], values: Mapping[str, Any]) -> Raster:
    """Make a raster of levels in canonical axes and of what `attributes` gave."""
    options = {
        **values,
        "placement": Placement.from_json(values["placement"]),
        "channels": tuple(values["channels"]),
    }
    return Raster.from_array(list(levels), options.pop("axes"), **options)


def rebuild(values: Mapping[str, Any], fetch: Fetch, token: str) -> Raster:
    """Make the worker's raster of what `describe` gave.

    Parameters
    ----------
    values
        Result of `describe`.
    fetch
        Asks napari's process for a window of a level.
    token
        Names this raster among all that the worker will ever see.

    Raises
    ------
    InputError
        If the raster has a path that the worker cannot open.
    """
    if values["source"] is not None:
        return SourceRef.from_json(values["source"]).open()
    levels = [
        _remote_level(level, number, fetch, f"remote-{token}-{number}")
        for number, level in enumerate(values["levels"])
    ]
    return build(levels, {k: v for k, v in values.items() if k not in ("source", "levels")})


def channel_choices(
    channels: Sequence[tuple[int, str, int]] | None, sources: Sequence[Raster]
) -> list[Any] | None:
    """Spell where each model input comes from as the tasks take it.

    Parameters
    ----------
    channels
        Number of the source, axis and index of each input, as in `JobSettings`.
    sources
        The image that the task is given, then those that only some inputs come from.
    """
    if channels is None:
        return None
    return [
        _part(sources[number], axis, index) if number else (axis, index) if axis else 0
        for number, axis, index in channels
    ]


def with_sources(arguments: Mapping[str, Any], sources: Sequence[Raster]) -> dict[str, Any]:
    """Arguments of a task with the images that some stand for, ``{"source": number}``."""

    def meant(value: Any) -> Any:
        named = isinstance(value, Mapping) and SOURCE in value
        return sources[value[SOURCE]] if named else value

    return {name: meant(value) for name, value in arguments.items()}


def _part(source: Raster, axis: str, index: int) -> Raster:
    return source.plane(**{axis: index}) if axis else source


def read_window(raster: Raster, level: int, window: list[list[int]]) -> np.ndarray:
    """Read one window in napari's process, for the worker.

    Raises
    ------
    ReadError
        If the layer's data cannot be read.
    """
    index = tuple(slice(start, stop) for start, stop in window)
    data = raster.levels[level]
    try:
        if level == 0 and raster.memory is not None:
            return raster.memory[index]
        return in_memory(data[index])
    except Exception as error:  # any reader or lazy computation may be behind it
        raise ReadError(
            f"Reading {raster.name!r} at {index} failed in napari: {type(error).__name__}: "
            f"{error}. See whether the layer can still be shown there."
        ) from error


def _describe_level(level: da.Array) -> dict[str, Any]:
    return {
        "shape": list(level.shape),
        "dtype": level.dtype.str,
        "chunks": [min(size, _LARGEST_CHUNK) for size in level.chunksize],
    }


def _remote_level(values: Mapping[str, Any], number: int, fetch: Fetch, name: str) -> da.Array:
    array = RemoteArray(tuple(values["shape"]), np.dtype(values["dtype"]), number, fetch)
    chunks = tuple(max(1, size) for size in values["chunks"])
    meta = np.empty((0,) * array.ndim, array.dtype)
    # Only with dask's default fancy=True does a slice of the result ask for nothing but itself.
    result: da.Array = da.from_array(array, chunks, name=name, asarray=False, meta=meta)
    return result


class RemoteArray:
    """An array in napari's process: knows its shape and asks for its pixels."""

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], level: int, fetch: Fetch
    ) -> None:
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)
        self._level, self._fetch = level, fetch

    def __getitem__(self, key: Any) -> np.ndarray:
        keys = key if isinstance(key, tuple) else (key,)
        keys += (slice(None),) * (self.ndim - len(keys))
        window, local = [], []
        for item, size in zip(keys, self.shape, strict=True):
            bounds, rest = _bounds(item, size)
            window.append(bounds)
            local.append(rest)
        block: np.ndarray = self._fetch(self._level, window)[tuple(local)]
        return block


def _bounds(item: Any, size: int) -> tuple[list[int], Any]:
    """Split a key into the contiguous range to fetch and the key within it."""
    if isinstance(item, slice):
        places = range(size)[item]
        if not places:
            return [0, 0], slice(None)
        start = min(places)
        step = slice(None, None, places.step)
        return [start, max(places) + 1], step
    places = np.arange(size)[item]
    start = int(places.min(initial=size - 1))
    return [start, int(places.max(initial=start)) + 1], places - start
