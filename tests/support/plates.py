"""Plates as ome-zarr-py writes them."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zarr
from models import image_of
from ome_zarr.format import FormatV04, FormatV05

with warnings.catch_warnings():
    # It uses a class of its own that it calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata

FORMATS = {"0.4": FormatV04(), "0.5": FormatV05()}


def field_of(well: str, name: str, side: int = 70) -> np.ndarray:
    """The pixels of a field, (y, x) uint8; no two are alike."""
    return image_of((side, side - 10), seed=zlib.crc32(f"{well}/{name}".encode()))


def write_plate(
    path: Path, version: str = "0.5", wells: Sequence[str] = ("A/1", "A/3", "B/2"), fields: int = 2
) -> Path:
    """A plate of 2 × 3 wells, some of which hold images; its second field is of another run."""
    form = FORMATS[version]
    root = zarr.open_group(str(path), mode="w", zarr_format=form.zarr_format)
    runs = [{"id": 1, "name": "first"}, {"id": 2, "name": "second"}]
    write_plate_metadata(
        root, ["A", "B"], ["1", "2", "3"], list(wells), name="assay", fmt=form,
        acquisitions=runs, field_count=fields,
    )  # fmt: skip
    for well in wells:
        group = root.require_group(well.split("/")[0]).require_group(well.split("/")[1])
        images = [{"path": str(i), "acquisition": 1 + i % 2} for i in range(fields)]
        write_well_metadata(group, images, fmt=form)
        for each in images:
            write_image(
                field_of(well, each["path"]), group.require_group(each["path"]), fmt=form,
                axes="yx", scale={"y": 0.5, "x": 0.25}, scale_factors=[],
                axes_units={"y": "micrometer", "x": "micrometer"},
            )  # fmt: skip
    return path
