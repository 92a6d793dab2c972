"""Pairs for `nuclei-tissue`: stained tissue of BBBC038 with maps of nuclei, named by their stain.

BBBC038 says of each nucleus where it is, and does not say how a field was stained. Of its 107
fields in colour, 38 have a white ground, 65 a purple one and 4 are stained with haematoxylin and
eosin; `stain_of` tells them apart by colour (the grounds of the first and second differ by 33 grey
values or more).
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.deriving.touching import object_classes
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.io.png import write_png

FOLDER = "nuclei_dsb2018"
GROUND_SHARE = 0.2
"""Brightest share of the pixels, which shows the ground."""
TINTED = 20.0
"""Grey values by which blue exceeds green where a ground is not white."""


def stain_of(image: NDArray[np.uint8]) -> str:
    """How a field (y, x, 3) looks: "pink", "purple" or "white" (ground)."""
    red, green, blue = (image[..., channel].astype(float) for channel in range(3))
    if red.mean() > blue.mean():
        return "pink"
    ground = green >= np.quantile(green, 1 - GROUND_SHARE)
    return "purple" if np.median(blue[ground]) - np.median(green[ground]) > TINTED else "white"


def prepare(source: Path, out: Path) -> list[Path]:
    """Write images/STAIN_NAME.png and maps/STAIN_NAME.png of all fields in colour.

    Parameters
    ----------
    source
        Folder with index.csv, images and labels.

    Returns
    -------
    list of Path
        The maps.

    Raises
    ------
    InputError
        If the index lists no image in colour.
    """
    with (source / "index.csv").open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["mode"] == "rgb"]
    if not names:
        raise InputError(
            f"{source / 'index.csv'} lists no image of mode rgb: give the folder of BBBC038 with "
            "its images in colour."
        )
    written = []
    for name in sorted(names):
        image = np.moveaxis(_read(source / "images" / f"{name}.png")[:3], 0, -1)
        stem = f"{stain_of(image)}_{name}.png"
        for part, values in (
            ("images", image),
            ("maps", object_classes(_read(source / "labels" / f"{name}.png"))),
        ):
            (out / part).mkdir(parents=True, exist_ok=True)
            write_png(out / part / stem, values)
        written.append(out / "maps" / stem)
    return written


def _read(path: Path) -> NDArray[Any]:
    return np.asarray(open_image(path).data.compute())
