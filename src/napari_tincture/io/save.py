"""Rasters to disk, in the format that the name of the path asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tincture.errors import OutputError
from napari_tincture.io.ome_zarr import is_zarr
from napari_tincture.io.output import check_free
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster, Write


def save(
    raster: Raster,
    path: Path,
    *,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
    overwrite: bool = False,
) -> Path:
    """Stream a raster to OME-Zarr or OME-TIFF; see `Raster.save`."""
    from napari_tincture.io.tiff_writer import write_ome_tiff
    from napari_tincture.io.zarr_writer import write_ome_zarr

    target = path.expanduser().absolute()
    writers = {".zarr": write_ome_zarr, ".tif": write_ome_tiff, ".tiff": write_ome_tiff}
    writer = writers.get(target.suffix.lower())
    if writer is None and is_zarr(target.parent):
        writer = write_ome_zarr  # an image within a store, such as a field of a plate
    if writer is None:
        raise OutputError(
            f"{path} names no format that can be written. End it with .ome.zarr (any size, all "
            "metadata) or .ome.tif."
        )
    check_free(target, overwrite=overwrite)

    def stream(write: Write) -> Mapping[str, Any]:
        return raster.stream(write, progress=progress, cancel=cancel)

    return writer(raster, stream, target, overwrite=overwrite)
