"""Arrays as PNG files that are there completely or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.durable import write_file
from napari_tincture.errors import OutputError
from napari_tincture.io.output import writing


def write_png(path: Path, values: NDArray[Any]) -> None:
    """Write a PNG; folders are made, a file that was there is replaced.

    Parameters
    ----------
    values
        (y, x) bool, uint8 or uint16, or (y, x, 3 or 4) uint8; True is 255.

    Raises
    ------
    OutputError
        If PNG, or Pillow, cannot hold such values, or the file cannot be written.
    """
    from PIL import Image

    grey = values.ndim == 2 and values.dtype in (np.bool_, np.uint8, np.uint16)
    colour = values.ndim == 3 and values.shape[2] in (3, 4) and values.dtype == np.uint8
    if not (grey or colour):
        raise OutputError(
            f"{path.name}: PNG cannot hold {values.dtype} values of shape {values.shape}; expected "
            "grey of 8 or 16 bits, or colours of 8 bits. Choose OME-Zarr."
        )
    shown = values.astype(np.uint8) * 255 if values.dtype == bool else values
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, lambda file: Image.fromarray(shown).save(file, "PNG"))
