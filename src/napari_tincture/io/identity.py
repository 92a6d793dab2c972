"""Telling whether an image is the same as before, without reading all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from napari_tincture.errors import is_read_error
from napari_tincture.raster import Index, Raster

SPOT = 64
"""Side in pixels of the spots that are looked at."""
SPOTS = 3
"""Spots along y and x, and planes along t and z."""
ROWS = 1024
"""That are read at once where every pixel is looked at."""


def signature(raster: Raster, *, whole: bool = False) -> dict[str, Any]:
    """Describe an image so that another one, or a changed one, is told apart.

    Parameters
    ----------
    raster
        Any image. Of one that is computed the network is not run: its `Runner` says what it is
        made of.
    whole
        Look at every pixel: of label maps, which people paint on anywhere.

    Returns
    -------
    dict
        JSON-serialisable: ``path`` (None without one), ``shape``, ``axes``, ``dtype``, and
        ``sample``, the SHA-256 of up to 3 × 3 spots of 64 × 64 pixels (y, x) in up to 3 planes
        along each of t and z and all channels; None where one of them cannot be read. A change
        that leaves all of them as they were goes unnoticed, unless `whole`.
    """
    facts: dict[str, Any] = {
        "path": raster.source.path or None if raster.source else None,
        "shape": list(raster.shape),
        "axes": raster.axes,
        "dtype": raster.dtype.name,
    }
    identity = getattr(raster.runner, "identity", None)
    if identity is not None:
        return {**facts, "computed": identity()}
    return {**facts, "sample": _sample(raster, _rows(raster) if whole else _spots(raster))}


def content(raster: Raster, *, whole: bool = False) -> dict[str, Any]:
    """Its signature without the path: the file may have been moved."""
    return {key: value for key, value in signature(raster, whole=whole).items() if key != "path"}


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """List what differs between two JSON objects, ``name: before → now``, for a person to read."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        found = []
        for key in dict.fromkeys([*before, *now]):
            path = f"{name}.{key}" if name else str(key)
            found += differences(before.get(key), now.get(key), path)
        return found
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [text for i, (a, b) in pairs for text in differences(a, b, f"{name}[{i}]")]
    # Where a spot could not be read, for the moment or for ever, pixels cannot be compared.
    unknown = name.rpartition(".")[2] == "sample" and None in (before, now)
    return [] if unknown or before == now else [f"{name}: {_short(before)} → {_short(now)}"]


def _sample(raster: Raster, places: Iterable[Index]) -> str | None:
    digest = hashlib.sha256()
    for index in places:
        try:
            values = raster.read(index)
        except Exception as error:
            if not is_read_error(error):
                raise
            return None  # whether that matters is for who needs the pixels to say
        digest.update(repr(values.shape).encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _spots(raster: Raster) -> list[Index]:
    along = []
    for axis, length in raster.sizes.items():
        if axis == "c":
            along.append([slice(0, length)])
            continue
        side = SPOT if axis in "yx" else 1
        starts = np.linspace(0, max(length - side, 0), SPOTS).astype(int)
        along.append([slice(s, min(s + side, length)) for s in sorted(set(starts.tolist()))])
    return list(product(*along))


def _rows(raster: Raster) -> Iterator[Index]:
    """All of an image, some rows of one plane at a time."""
    along = []
    for axis, length in raster.sizes.items():
        step = {"y": ROWS, "x": length, "c": length}.get(axis, 1)
        along.append([slice(s, min(s + step, length)) for s in range(0, length, step)])
    return product(*along)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
