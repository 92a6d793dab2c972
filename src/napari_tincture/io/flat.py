"""PNG, JPEG, BMP and npy files as rasters; their headers are read at once, pixels when asked."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture import axes as ax
from napari_tincture.errors import InputError, ReadError
from napari_tincture.layers import RGB_NAMES
from napari_tincture.raster import Raster, SourceRef

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".npy")

_DTYPES = {
    "1": "bool",
    "L": "uint8",
    "I;16": "uint16",
    "I;16B": "uint16",
    "I": "int32",
    "F": "float32",
}
_COLOURS = {"RGB": 3, "RGBA": 4, "P": 3, "PA": 4, "LA": 4, "CMYK": 3, "YCbCr": 3}


class FlatImage:
    """A PNG, JPEG or BMP file as an array, decoded whole when it is first read."""

    def __init__(self, path: Path) -> None:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(path) as image:
                self._mode, (width, height) = image.mode, image.size
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as error:
            raise _unreadable(path, error) from error
        _refuse_deep_colour(path)
        if self._mode not in _DTYPES and self._mode not in _COLOURS:
            raise _unreadable(path, f"colour mode {self._mode} is not supported")
        samples = _COLOURS.get(self._mode)
        self.shape = (height, width) if samples is None else (height, width, samples)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(_DTYPES.get(self._mode, "uint8"))
        self.chunks = self.shape
        self._path, self._lock = path, threading.Lock()
        self._pixels: npt.NDArray[Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return FlatImage, (self._path,)

    def __getitem__(self, index: tuple[slice, ...]) -> npt.NDArray[Any]:
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decode()
        return self._pixels[index]

    def _decode(self) -> npt.NDArray[Any]:
        from PIL import Image

        try:
            with Image.open(self._path) as image:
                if self._mode in _COLOURS:
                    image = image.convert("RGB" if self.shape[-1] == 3 else "RGBA")  # type: ignore[assignment]
                return np.asarray(image, self.dtype)
        except (OSError, SyntaxError) as error:
            raise _unreadable(self._path, error) from error


def open_flat(path: Path, axes: str | None = None) -> Raster:
    """Open a PNG, JPEG, BMP or npy file.

    Parameters
    ----------
    path : Path
        Palettes become RGB; 16-bit grey stays 16-bit.
    axes : str, optional
        Needed for npy files of more than two dimensions.

    Raises
    ------
    InputError
        If the file is damaged, or a colour PNG with 16 bits per sample.
    """
    array: Any = _memory_map(path) if path.suffix.lower() == ".npy" else FlatImage(path)
    rgb = isinstance(array, FlatImage) and array.ndim == 3
    order = axes or ("yxc" if rgb else "yx" if len(array.shape) == 2 else None)
    if order is None:
        raise ax.unknown_axes(array.shape)
    order = ax.check_axes(order, array.shape)
    source = SourceRef("path", str(path.absolute()), {"axes": axes} if axes else {})
    return Raster.from_array(
        array, order, name=path.stem, source=source, rgb=rgb and order[2] == "c",
        channels=RGB_NAMES[: array.shape[2]] if rgb and order[2] == "c" else (),
    )  # fmt: skip


def _memory_map(path: Path) -> npt.NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error
    return np.asarray(array)


def _refuse_deep_colour(path: Path) -> None:
    """Refuse 16-bit colour PNG, which Pillow would silently cut to 8 bits."""
    with path.open("rb") as file:
        header = file.read(26)
    deep = header.startswith(b"\x89PNG") and header[24] == 16 and header[25] in (2, 6)
    if deep:
        raise InputError(
            f"{path} is a colour PNG with 16 bits per sample, which cannot be read without loss. "
            "Convert it to TIFF, or give its channels as a list of grey images."
        )


def _unreadable(path: Path, reason: object) -> ReadError:
    return ReadError(
        f"{path} cannot be read: {reason}. Check that it was completely written; very large "
        "images belong in TIFF or OME-Zarr."
    )
