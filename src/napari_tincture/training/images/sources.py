"""The images that a user names for training: found, and opened together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io.images import Entry, find_images
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster
from napari_tincture.training.images.names import listed


def find_entries(images: Any, root: Path) -> list[Entry]:
    """List images without opening them.

    Parameters
    ----------
    images
        A folder, a glob, a path, a raster, an array, a layer, or a list of these; a list within
        the list is one image whose channels are joined.
    root
        What relative paths are relative to.

    Raises
    ------
    InputError
        If there is none.
    """
    if isinstance(images, str | os.PathLike):
        return _of_text(os.fspath(images), root)
    if not isinstance(images, list | tuple):
        images = [images]
    found: list[Entry] = []
    for number, image in enumerate(images, start=1):
        if isinstance(image, str | os.PathLike):
            found += _of_text(os.fspath(image), root)
        elif isinstance(image, list | tuple):
            members = [_under(root, m) if isinstance(m, str | os.PathLike) else m for m in image]
            first = find_entries(image[0], root)[0] if image else Entry([], "[]", ("image",))
            found.append(Entry(members, first.label, first.names))
        else:
            name = str(getattr(image, "name", None) or f"image-{number:03d}")
            found.append(Entry(image, name, (name,)))
    if not found:
        raise InputError("There is no image in an empty list; give at least one.")
    return found


def _of_text(text: str, root: Path) -> list[Entry]:
    path = _under(root, text)
    parts = Path(path).parts
    magic = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), None)
    if magic is None or "://" in path or Path(path).exists():
        return find_images(path)
    return find_images(str(Path(*parts[:magic])), "/".join(parts[magic:]))


def _under(root: Path, path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    return text if "://" in text else str(root / Path(text).expanduser())


def open_entries(entries: Sequence[Entry], axes: str | None = None) -> list[Raster]:
    """Open all of them, reading nothing but their metadata; `axes` of all, where it is given.

    Raises
    ------
    InputError
        Naming those that cannot be read, up to five.
    """
    rasters: list[Raster] = []
    problems: list[str] = []
    for entry in entries:
        try:
            if entry.problem is not None:
                raise entry.problem
            rasters.append(open_image(entry.source, axes=axes))
        except (InputError, OSError) as error:
            problems.append(f"{entry.label} ({error})")
    if problems:
        raise InputError(
            f"{len(problems)} of {len(entries)} images cannot be read: {listed(problems)}. Repair "
            "them, or take them out."
        )
    return rasters
