"""Telling files that this package wrote from those of others, by their metadata alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io import own_metadata
from napari_tincture.io.ome_tiff import own_annotation
from napari_tincture.io.ome_zarr import is_zarr, local_attributes

TIFF_SUFFIXES = (".tif", ".tiff")


def own_object(path: str | Path) -> Mapping[str, Any] | None:
    """Read what this package has written about an image beside the format's own metadata.

    Parameters
    ----------
    path
        A local OME-Zarr folder, the URL of one, or an OME-TIFF file.

    Returns
    -------
    mapping or None
        None if another program wrote it, or there is no such file.
    """
    if "://" in str(path):
        found = _remote(str(path))
    elif is_zarr(path):
        found = _local(Path(path))
    elif Path(path).suffix.lower() in TIFF_SUFFIXES and Path(path).is_file():
        found = own_annotation(Path(path))
    else:
        found = None
    return found if isinstance(found, Mapping) else None


def _local(path: Path) -> object:
    try:
        return local_attributes(path).get(own_metadata.KEY)
    except InputError:
        # Damaged by whomever: the reader that opens it says so.
        return None


def _remote(url: str) -> object:
    import zarr
    from zarr.errors import BaseZarrError

    try:
        return dict(zarr.open_group(url, mode="r").attrs).get(own_metadata.KEY)
    except (BaseZarrError, OSError, ValueError, ImportError):
        return None
