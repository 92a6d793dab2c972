"""Which images a list, a folder or a plate holds, and how the results of each are named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.io import flat, ome_tiff
from napari_tincture.io.ome_zarr import is_zarr
from napari_tincture.io.plate import Field, Plate, open_plate, plate_fields

SUFFIXES = (*ome_tiff.SUFFIXES, *flat.SUFFIXES)
_FORBIDDEN = '\\/:*?"<>|'


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of many, not opened yet.

    Attributes
    ----------
    source
        What `open_image` takes.
    label
        What a person knows it by: its path or name.
    names
        What its result could be called, the shortest first.
    plate, field
        Where it belongs, if it is of a plate.
    problem
        Why it cannot be opened, where that is known already.
    """

    source: Any
    label: str
    names: tuple[str, ...]
    plate: Plate | None = None
    field: Field | None = None
    problem: InputError | None = None


def find_images(images: Any, pattern: str = "*", results: Path | None = None) -> list[Entry]:
    """List images without opening them.

    Parameters
    ----------
    images
        A folder (all images in it of known formats, sorted by name), a plate, the path of one
        image, or a list of paths, plates, arrays, rasters or layers.
    pattern
        Which files of a folder, such as ``"*.tif"`` or ``"**/*.png"``; hidden ones never.
    results
        A folder within the folder that holds results, not images.

    Returns
    -------
    list of Entry
        At least one.

    Raises
    ------
    InputError
        If there is no image, `images` is a single array, or the folder is that of the results.
    """
    if isinstance(images, (str, os.PathLike)):
        whole = _is_folder(images)
        found = _of_folder(images, pattern, results) if whole else list(_of_path(images))
    elif isinstance(images, (list, tuple, Iterator)):
        found = [entry for i, image in enumerate(images) for entry in _of_member(image, i)]
    else:
        raise InputError(
            f"Expected a list of images, a folder or a plate, got {type(images).__name__}. Put a "
            "single image into a list."
        )
    if not found:
        raise InputError(
            f"There is no image in {images!s} for pattern {pattern!r}. Readable are zarr and "
            f"OME-Zarr folders, {', '.join(SUFFIXES)}."
        )
    return found


def unique_names(entries: Sequence[Entry]) -> list[str]:
    """Name the results: each as short as possible, no two alike where case does not count."""
    depths = [0] * len(entries)
    while True:
        names = [entry.names[depth] for entry, depth in zip(entries, depths, strict=True)]
        counts = Counter(name.casefold() for name in names)
        grown = [
            min(depth + (counts[name.casefold()] > 1), len(entry.names) - 1)
            for entry, depth, name in zip(entries, depths, names, strict=True)
        ]
        if grown == depths:
            return _numbered(names)
        depths = grown


def stem_of(name: str) -> str:
    """A file name without the suffix of its format."""
    for suffix in (".zarr", *SUFFIXES):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
            return name[:-4] if name.lower().endswith(".ome") and len(name) > 4 else name
    return name


def holds_images(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder or plate with images in it, and no image itself."""
    return _is_folder(path) or ("://" not in str(path) and open_plate(Path(path)) is not None)


def _is_folder(path: str | os.PathLike[str]) -> bool:
    folder = Path(path).expanduser()
    return "://" not in str(path) and folder.is_dir() and not is_zarr(folder)


def _of_folder(folder: str | os.PathLike[str], pattern: str, results: Path | None) -> list[Entry]:
    root = Path(folder).expanduser().resolve()
    if results is not None and results.resolve() == root:
        raise InputError(
            f"{folder} holds the images; results in it would be taken for images the next time. "
            "Choose another folder for the results, such as one within it."
        )
    paths = [path for path in sorted(root.glob(pattern)) if _is_image(path, root)]
    if results is not None:
        paths = [path for path in paths if not path.is_relative_to(results.resolve())]
    return [entry for path in paths for entry in _of_path(path)]


def _is_image(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    inside = [root.joinpath(*parts[:n]) for n in range(1, len(parts))]
    if any(part.startswith(".") for part in parts) or any(map(is_zarr, inside)):
        return False
    return is_zarr(path) if path.is_dir() else path.suffix.lower() in SUFFIXES


def _of_member(image: Any, number: int) -> Iterator[Entry]:
    if isinstance(image, (str, os.PathLike)):
        yield from _of_path(image)
        return
    name = str(getattr(image, "name", None) or f"image-{number + 1:03d}")
    yield Entry(image, name, (_safe(name),))


def _of_path(path: str | os.PathLike[str]) -> Iterator[Entry]:
    text = str(path).rstrip("/")
    file = Path(text).expanduser()
    plate = None if "://" in text else open_plate(file)
    if plate is None:
        stem = _safe(stem_of(file.name))
        detailed = _safe(file.name.replace(".", "_"))
        names = (stem, detailed, _safe(f"{file.parent.name}_{detailed}".lstrip("_")))
        yield Entry(text if "://" in text else file, str(path), names)
        return
    for well, fields in plate_fields(plate):
        if isinstance(fields, InputError):
            yield Entry(None, f"{path}/{well}", (_safe(stem_of(file.name)),), plate, None, fields)
            continue
        for field in fields:
            label = f"{path}/{field.path}"
            yield Entry(file / field.path, label, (_safe(stem_of(file.name)),), plate, field)


def _safe(name: str) -> str:
    """A name that every file system takes."""
    kept = "".join("_" if c in _FORBIDDEN or ord(c) < 32 else c for c in name).strip(" .")
    return kept or "image"


def _numbered(names: Sequence[str]) -> list[str]:
    """Number what is still alike from 2, leaving out numbers that would make it like another."""
    original = {name.casefold() for name in names}
    taken: set[str] = set()
    result = []
    for name in names:
        others = (f"{name}-{n}" for n in count(2) if f"{name}-{n}".casefold() not in original)
        chosen = next(each for each in chain([name], others) if each.casefold() not in taken)
        taken.add(chosen.casefold())
        result.append(chosen)
    return result
