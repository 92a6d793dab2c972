"""The files of a data set: an image and its label map, in one of two formats."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from napari_tincture.errors import InputError, OutputError
from napari_tincture.io.png import write_png
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster

Format = Literal["png", "ome-zarr"]
SUFFIXES: dict[Format, str] = {"png": ".png", "ome-zarr": ".ome.zarr"}
SIDES = ("images", "labels")
READ = 2**20
"""Bytes at a time."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the two files of one image.

    Attributes
    ----------
    folder
        Of the data set.
    name
        Of both files, without the suffix.
    """

    folder: Path
    name: str
    format: Format

    def paths(self) -> dict[str, Path]:
        """Of the image and of the labels, within the folder."""
        return {side: Path(side) / f"{self.name}{SUFFIXES[self.format]}" for side in SIDES}

    def check(self, image: Raster, labels: Raster) -> None:
        """Refuse what the format cannot hold, before it is computed.

        Raises
        ------
        OutputError
            Naming the other format.
        """
        if self.format != "png":
            return
        several = "c" in image.axes and not image.rgb
        deep = image.dtype not in ((np.uint8,) if image.rgb else (np.uint8, np.uint16))
        if labels.axes != "yx" or several or deep:
            raise OutputError(
                f"{self.name}: an image {image.axes} of type {image.dtype} and a map "
                f"{labels.axes} cannot be PNG files, which hold one plane, grey of 8 or 16 bits or "
                "colours of 8 bits. Pass format='ome-zarr'."
            )

    def write(
        self, image: Raster, labels: Raster, progress: Progress, cancel: CancelToken
    ) -> dict[str, str]:
        """Compute and write both.

        Returns
        -------
        dict
            SHA-256 of the files, by side.
        """
        for side, raster in (("images", image), ("labels", labels)):
            path = self.folder / self.paths()[side]
            if self.format == "png":
                values = raster.compute(progress if side == "images" else None, cancel)
                write_png(path, np.moveaxis(values, 0, -1) if raster.rgb else values)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                raster.save(path, progress=progress, cancel=cancel, overwrite=True)
        return {side: digest(self.folder / path) for side, path in self.paths().items()}


def check_format(wanted: str) -> Format:
    """Refuse an unknown format."""
    if wanted not in get_args(Format):
        raise InputError(f"format={wanted!r}: expected 'png' or 'ome-zarr'.")
    return wanted  # type: ignore[return-value]


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, of the names and the digests of its files in order."""
    whole = hashlib.sha256()
    if path.is_dir():
        for file in sorted(each for each in path.rglob("*") if each.is_file()):
            whole.update(f"{file.relative_to(path).as_posix()}\n{digest(file)}\n".encode())
        return whole.hexdigest()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(READ), b""):
            whole.update(block)
    return whole.hexdigest()


def sweep(folder: Path) -> None:
    """Remove files that a killed call left half-written."""
    for leftover in _leftovers(folder):
        leftover.unlink(missing_ok=True)


def _leftovers(folder: Path) -> Iterator[Path]:
    for place in (folder, *(folder / side for side in SIDES)):
        yield from (path for path in place.glob("*.partial") if path.is_file())


def compact(labels: Raster) -> Raster:
    """The map with the smallest type that holds its values, 8 or 16 bits if possible.

    Raises
    ------
    OutputError
        If it has negative values, or needs more than 16 bits.
    """
    values = np.asarray(labels)
    least, most = int(values.min()), int(values.max())
    if least < 0 or most > np.iinfo(np.uint16).max:
        raise OutputError(
            f"The label map {labels.name!r} has values from {least} to {most}; a data set holds 8 "
            "or 16 bits, 0 to 65535. Give the classes other values, and say what they mean with "
            "classes=."
        )
    kind = np.uint8 if most <= np.iinfo(np.uint8).max else np.uint16
    made = Raster.from_array(
        values.astype(kind), labels.axes, kind="labels", placement=labels.placement,
        name=labels.name, order=labels.order,
    )  # fmt: skip
    return replace(made, provenance=labels.provenance)
