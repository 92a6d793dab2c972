"""Finished pyramids as OME-Zarr: their metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_tincture.durable import flush_tree
from napari_tincture.io import own_metadata
from napari_tincture.io.layout import Layout
from napari_tincture.io.ome_metadata import ome_metadata
from napari_tincture.io.pyramid_store import METADATA, Version
from napari_tincture.io.unfinished import Unfinished
from napari_tincture.raster import Raster

if TYPE_CHECKING:
    from napari_tincture.io.save import Facts


def finish_ome_zarr(
    raster: Raster, layout: Layout, facts: Facts, unfinished: Unfinished, version: Version
) -> Path:
    """Write the metadata of a group whose arrays are complete; gives the group."""
    import zarr

    group = zarr.open_group(unfinished.data, mode="r+")
    group.attrs.update(
        {
            **ome_metadata(raster, layout.shapes, facts.extremes, version),
            own_metadata.KEY: own_metadata.to_json(raster, facts.run),
        }
    )
    flush_tree(unfinished.data, METADATA)
    return unfinished.data
