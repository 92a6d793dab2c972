"""Rasters as OME-TIFF: tiled, pyramidal, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_tincture.durable import flush_file
from napari_tincture.errors import OutputError
from napari_tincture.io import own_metadata
from napari_tincture.io.layout import Layout
from napari_tincture.io.unfinished import Unfinished
from napari_tincture.placement import micrometres
from napari_tincture.raster import Raster

if TYPE_CHECKING:
    from napari_tincture.io.save import Facts

TILE = 512


def finish_ome_tiff(raster: Raster, layout: Layout, facts: Facts, unfinished: Unfinished) -> Path:
    """Write a complete pyramid as OME-TIFF; gives the file.

    TIFF wants its tiles in order, so the pyramid waits in a zarr store of about the same size.

    Raises
    ------
    OutputError
        If labels exceed 32 bits, the most that OME-TIFF holds.
    """
    path = unfinished.folder / "result.tif"
    try:
        dtype = _tiff_dtype(raster, facts.extremes)
    except OutputError:
        unfinished.abandon()
        raise
    _write_tiff(raster, layout, unfinished.data, path, dtype, facts)
    flush_file(path)
    return path


def _write_tiff(
    raster: Raster,
    layout: Layout,
    store: Path,
    path: Path,
    dtype: np.dtype[Any],
    facts: Facts,
) -> None:
    import tifffile
    import zarr

    group = zarr.open_group(store, mode="r")
    levels: list[Any] = [group[str(i)] for i in range(len(layout.shapes))]
    order = raster.axes.replace("c", "") + "c" if raster.rgb else raster.axes
    options: dict[str, Any] = {
        "dtype": dtype, "tile": (TILE, TILE), "compression": "zlib",
        "photometric": "rgb" if raster.rgb else "minisblack",
    }  # fmt: skip
    if raster.sizes.get("c") == 4 and raster.rgb:
        options["extrasamples"] = ("unassalpha",)
    big = sum(level.nbytes for level in levels) > 2**31
    with tifffile.TiffWriter(path, ome=True, bigtiff=big) as tiff:
        for i, level in enumerate(levels):
            shape = tuple(level.shape[raster.axes.index(a)] for a in order)
            special: dict[str, Any] = {"subfiletype": 1}
            if i == 0:
                special = {"subifds": len(levels) - 1, "metadata": _metadata(raster, order, facts)}
            tiff.write(_tiles(level, raster, dtype), shape=shape, **options, **special)


def _tiles(level: Any, raster: Raster, dtype: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield the tiles of all planes in the order of a TIFF file, the last filled with zeros."""
    lead = raster.axes[:-2]
    planes = [
        range(1) if a == "c" and raster.rgb else range(n)
        for a, n in zip(lead, level.shape, strict=False)
    ]
    rows, columns = (range(0, n, TILE) for n in level.shape[-2:])
    for *plane, y, x in product(*planes, rows, columns):
        at = tuple(
            slice(None) if a == "c" and raster.rgb else slice(i, i + 1)
            for a, i in zip(lead, plane, strict=True)
        )
        window = level[(*at, slice(y, y + TILE), slice(x, x + TILE))].astype(dtype)
        samples = window.reshape(-1, *window.shape[-2:])
        tile = np.zeros((samples.shape[0], TILE, TILE), dtype)
        tile[:, : samples.shape[1], : samples.shape[2]] = samples
        yield np.ascontiguousarray(np.moveaxis(tile, 0, -1)) if raster.rgb else tile[0]


def _tiff_dtype(raster: Raster, extremes: dict[int, tuple[float, float]]) -> np.dtype[Any]:
    """Choose a data type that OME-TIFF has and that holds every value."""
    dtype = raster.dtype
    if dtype.kind == "b" or dtype == np.float16:
        return np.dtype(np.uint8 if dtype.kind == "b" else np.float32)
    if dtype.kind not in "iu" or dtype.itemsize < 8:
        return dtype
    low = min((low for low, _ in extremes.values()), default=0)
    high = max((high for _, high in extremes.values()), default=0)
    for smaller in (np.int32, np.uint32):
        if low >= np.iinfo(smaller).min and high <= np.iinfo(smaller).max:
            return np.dtype(smaller)
    raise OutputError(
        f"Values from {low} to {high} exceed the 32 bits of an integer in OME-TIFF. Save as "
        ".ome.zarr instead."
    )


def _metadata(raster: Raster, order: str, facts: Facts) -> dict[str, Any]:
    scale, translation = own_metadata.scale_translation(raster.placement)
    own = own_metadata.to_json(raster, facts.run)
    result: dict[str, Any] = {
        "axes": (order[:-1] + "s" if raster.rgb else order).upper(),
        "CommentAnnotation": {"Namespace": own_metadata.KEY, "Value": json.dumps(own)},
    }
    if raster.name:
        result["Name"] = raster.name
    if raster.channels and not raster.rgb:
        result["Channel"] = {"Name": list(raster.channels)}
    planes = int(np.prod([n for a, n in raster.sizes.items() if a in "tz"] or [1]))
    planes *= 1 if raster.rgb else raster.sizes.get("c", 1)
    position: dict[str, Any] = {}
    for axis, size, offset, unit in zip(raster.axes, scale, translation, raster.units, strict=True):
        if axis in "zyx" and micrometres(unit) is not None:
            microns = micrometres(unit) or 1.0
            letter = axis.upper()
            result |= {f"PhysicalSize{letter}": size * microns, f"PhysicalSize{letter}Unit": "µm"}
            position |= {
                f"Position{letter}": [offset * microns] * planes,
                f"Position{letter}Unit": ["µm"] * planes,
            }
        elif axis == "t" and unit == "second":
            result |= {"TimeIncrement": size, "TimeIncrementUnit": "s"}
    return result | ({"Plane": position} if position else {})
