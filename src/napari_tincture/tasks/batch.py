"""The same task on many images: a list, a folder or a plate in, one result per image out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from napari_tincture.errors import InputError, OutputError
from napari_tincture.io.identity import differences, signature
from napari_tincture.io.images import Entry, find_images, unique_names
from napari_tincture.io.open import open_image
from napari_tincture.io.plate import PlateWriter
from napari_tincture.io.provenance import plain
from napari_tincture.models import Model
from napari_tincture.progress import CancelToken
from napari_tincture.raster import Raster
from napari_tincture.tasks._many import Piece, check_settings, described_setting, run_all
from napari_tincture.tasks._run import as_model
from napari_tincture.tasks.batch_report import BatchReport, Report, as_report
from napari_tincture.tasks.find import Task, find_task

Existing = Literal["skip", "error", "overwrite"]
SUFFIXES = (".ome.zarr", ".ome.tif")


def batch(
    images: Any,
    task: str,
    model: str | Model | Any,
    folder: str | os.PathLike[str],
    *,
    pattern: str = "*",
    suffix: Literal[".ome.zarr", ".ome.tif"] = ".ome.zarr",
    existing: Existing = "skip",
    progress: bool | Report | None = None,
    cancel: CancelToken | None = None,
    client: Any = None,
    **settings: Any,
) -> BatchReport:
    """Run a task on many images and write one result each; one that fails stops no other.

    Parameters
    ----------
    images
        A list of whatever `open_image` accepts; a folder, whose images of known formats are
        taken in the order of their names; or an OME-Zarr plate, every field of every well.
    task
        "stain" or "segment".
    model
        As the task takes it; loaded once.
    folder
        Gets ``<name of the image>.ome.zarr``; names that would be alike are made unique. The
        results of a plate become a plate of the same rows, columns, wells and fields.
    pattern
        Which files of a folder, such as ``"*.tif"`` or ``"**/*.png"``.
    suffix
        ".ome.zarr" or ".ome.tif"; plates are always OME-Zarr.
    existing
        What to do where a result is there: "skip" it if it was made from the same image by the
        same model and settings, otherwise that image fails; "error": it fails; "overwrite".
    progress
        True for a bar, or called with a `BatchProgress`.
    cancel
        Stops within one tile; what is complete stays.
    client
        As in `Raster.save`.
    **settings
        Further arguments of the task.

    Returns
    -------
    BatchReport
        What was done, what was skipped, and what failed with the reason.

    Raises
    ------
    InputError
        If there is no image, or task and model do not fit each other.
    ModelError
        If the model is unknown or damaged.
    OutputError
        If a plate cannot be written.
    Cancelled
        If `cancel` was raised. The same call continues with what is left.
    """
    run = find_task(task)
    _check_choices(run, task, suffix, existing, settings)
    target = Path(folder).expanduser().absolute()
    entries = find_images(images, pattern, target)
    found = as_model(model, task)
    places = _places(entries, target, suffix)
    work = _Work(run, task, found, settings, existing, client, cancel or CancelToken())
    pieces = [
        Piece(entry.label, place.path, partial(work.finish, entry, place))
        for entry, place in zip(entries, places, strict=True)
    ]
    return run_all(pieces, as_report(progress), work.cancel)


def _check_choices(
    run: Task, task: str, suffix: str, existing: str, settings: Mapping[str, Any]
) -> None:
    if suffix not in SUFFIXES:
        raise InputError(f"suffix={suffix!r}: expected one of {', '.join(SUFFIXES)}.")
    if existing not in get_args(Existing):
        raise InputError(f"existing={existing!r}: expected 'skip', 'error' or 'overwrite'.")
    check_settings(run, task, settings)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a result goes, and the plate that it is entered into."""

    path: Path
    plate: PlateWriter | None = None


def _places(entries: list[Entry], folder: Path, suffix: str) -> list[_Place]:
    stores = list({id(entry.plate or entry): entry for entry in entries}.values())
    names = dict(zip((id(e.plate or e) for e in stores), unique_names(stores), strict=True))
    writers = {
        id(entry.plate): PlateWriter(folder / f"{names[id(entry.plate)]}.ome.zarr", entry.plate)
        for entry in stores
        if entry.plate is not None
    }
    places = []
    for entry in entries:
        name, writer = names[id(entry.plate or entry)], writers.get(id(entry.plate))
        path = folder / f"{name}{suffix}"
        if writer is not None and entry.field is not None:
            path = writer.path / entry.field.path
        places.append(_Place(path, writer))
    return places


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done with every image."""

    run: Task
    task: str
    model: Model
    settings: Mapping[str, Any]
    existing: Existing
    client: Any
    cancel: CancelToken

    def finish(self, entry: Entry, place: _Place, tiles: Callable[[int, int], None]) -> bool:
        """Make the result, unless it is there; tell whether it was made."""
        if entry.problem is not None:
            raise entry.problem
        image = open_image(entry.source)
        _check_apart(image, place.path)
        request = self._request(image)
        made = not self._is_finished(place.path, request)
        if made:
            if place.plate is not None and entry.field is not None:
                place.plate.prepare(entry.field)
            result = self.run(image, self.model, **self.settings)
            client = {} if self.client is None else {"client": self.client}
            _with_request(result, request).save(
                place.path, progress=tiles, cancel=self.cancel,
                overwrite=self.existing == "overwrite", **client,
            )  # fmt: skip
        if place.plate is not None and entry.field is not None:
            place.plate.add(entry.field)
        return made

    def _request(self, image: Raster) -> dict[str, Any]:
        """What makes a result the same: image, model and settings."""
        settings = {name: described_setting(value) for name, value in sorted(self.settings.items())}
        return {
            "task": self.task, "weights": self.model.fingerprint, "settings": settings,
            "image": signature(image),
        }  # fmt: skip

    def _is_finished(self, path: Path, request: Mapping[str, Any]) -> bool:
        if self.existing == "overwrite" or not path.exists():
            return False
        if self.existing == "error":
            raise OutputError(f"{path} exists. Choose another folder, or pass existing='skip'.")
        try:
            found = open_image(path)
        except InputError:
            return False  # half-written: whether it can be continued is for the writer to say
        steps = found.provenance.get("steps") or [{}]
        before = steps[-1].get("request")
        changed = ["it does not say how it was made"] if before is None else []
        changed = changed or differences(before, request)
        if changed:
            raise OutputError(
                f"{path} exists and is another result: {'; '.join(changed)}. Choose another "
                "folder, or pass existing='overwrite'."
            )
        return True


def _with_request(result: Raster, request: Mapping[str, Any]) -> Raster:
    *before, last = result.provenance["steps"]
    steps = [*before, {**last, "request": plain(request)}]
    return replace(result, provenance={**result.provenance, "steps": steps})


def _check_apart(image: Raster, path: Path) -> None:
    if image.source is None or not image.source.path or "://" in image.source.path:
        return
    read, written = Path(image.source.path).resolve(), path.resolve()
    if read.is_relative_to(written) or written.is_relative_to(read):
        raise OutputError(f"{path} is the image itself. Choose another folder for the results.")
