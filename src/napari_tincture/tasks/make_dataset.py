"""A data set from label maps: synthetic images, and the maps that they were drawn from."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.io.identity import signature
from napari_tincture.io.images import Entry, find_images, unique_names
from napari_tincture.io.provenance import plain, software
from napari_tincture.models import Model
from napari_tincture.models.card import ModelCard
from napari_tincture.models.class_table import ClassTable
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tasks._dataset_files import Format, Writer, check_format, compact, sweep
from napari_tincture.tasks._dataset_record import Record
from napari_tincture.tasks._derivation import Derivation
from napari_tincture.tasks._label_map import open_label_map
from napari_tincture.tasks._many import Piece, check_settings, described_setting, run_all
from napari_tincture.tasks._run import as_model
from napari_tincture.tasks.batch_report import BatchReport, Report, as_report
from napari_tincture.tasks.derive_labels import derive_labels
from napari_tincture.tasks.synthesize import synthesize

MOST_VARIANTS = 10_000
OF_ONE_MAP = ("seed", "region", "instances")
"""Arguments of `synthesize` that are not the same for all maps."""


def make_dataset(
    maps: Any,
    model: str | Model | Any,
    out: str | os.PathLike[str],
    *,
    variants: int = 1,
    derive: Mapping[str, Any] | None = None,
    format: Literal["png", "ome-zarr"] = "png",  # noqa: A002 - the word that everybody uses
    seed: int = 0,
    pattern: str = "*",
    progress: bool | Report | None = None,
    cancel: CancelToken | None = None,
    **settings: Any,
) -> BatchReport:
    """Draw images of label maps, and keep each with the very map that it shows.

    The folder gets ``images/NAME_00.png``, ``labels/NAME_00.png``, …, under the same names, as
    `train` takes pairs, and ``dataset.json``, which says how each was made. The same call makes
    what is missing: after a kill, with more variants, or with more maps.

    Parameters
    ----------
    maps
        Label maps: a folder, a path, or a list of whatever `open_image` accepts.
    model
        Of synthesis: a name of `list_models`, a path, or a `Model`; loaded once.
    out
        The folder; new, empty, or begun by the same call.
    variants
        Images per map, each with a seed of its own.
    derive
        Arguments of `derive_labels`, such as ``{"elastic": 8}`` or ``{"move": 40, "turn": 180,
        "objects": "mitochondrion"}``: every image is of another map, derived from the given one.
    format
        "png", for single planes, grey or RGB; or "ome-zarr", for any image, which keeps its place
        and pixel size. ``dataset.json`` has the pixel size of both.
    seed
        Another seed gives another data set. The seed of each image is made of it, the map's name
        and the number of the variant.
    pattern
        Which files of a folder, such as ``"*.tif"``.
    progress
        True for a bar, or called with a `BatchProgress`.
    cancel
        Stops within one tile; what is complete stays.
    **settings
        Further arguments of `synthesize`: sampler, steps, guidance, style, classes, dtype, ….

    Returns
    -------
    BatchReport
        What was made, what was there, and what failed with the reason; one that fails stops no
        other. `path` is the image's.

    Raises
    ------
    InputError
        If there is no map, or an argument cannot be right.
    ModelError
        If the model is unknown or damaged.
    OutputError
        If the folder holds something else, or a data set that was made by other arguments; it says
        which.
    Cancelled
        If `cancel` was raised. The same call continues with what is left.
    """
    check_settings(synthesize, "synthesize", settings, OF_ONE_MAP)
    _check(variants, derive, seed)
    folder = Path(out).expanduser().absolute()
    entries = find_images(maps, pattern, folder)
    found = as_model(model, "synthesize")
    head = _head(found, derive, check_format(format), seed, settings)
    record = Record(folder, head)
    sweep(folder)
    work = _Work(found, dict(derive or {}), head["format"], seed, settings, record)
    work.cancel = cancel or CancelToken()
    names = unique_names(entries)
    pieces = [
        work.piece(entry, name, number)
        for entry, name in zip(entries, names, strict=True)
        for number in range(variants)
    ]
    try:
        return run_all(pieces, as_report(progress), work.cancel)
    finally:
        record.save()


@dataclass(slots=True)
class _Work:
    """What is done with every map."""

    model: Model
    derive: Mapping[str, Any]
    format: Format
    seed: int
    settings: Mapping[str, Any]
    record: Record
    cancel: CancelToken = field(default_factory=CancelToken)
    _open: tuple[Entry, Raster, Any] | None = None
    """The map at hand: its variants follow each other."""

    def piece(self, entry: Entry, name: str, number: int) -> Piece:
        writer = Writer(self.record.folder, f"{name}_{number:02d}", self.format)
        path = writer.folder / writer.paths()["images"]
        label = f"{entry.label}, {number:02d}"
        return Piece(label, path, partial(self.finish, entry, writer, name, number))

    def finish(self, entry: Entry, writer: Writer, name: str, number: int, tiles: Progress) -> bool:
        """Make one image and its labels, unless they are there; tell whether they were made."""
        given, about = self._opened(entry)
        own_seed = seed_of(self.seed, name, number)
        described = {
            "map": {"name": entry.label, **about}, "variant": number, "seed": own_seed,
            **{side: path.as_posix() for side, path in writer.paths().items()},
        }  # fmt: skip
        if self.record.is_complete(writer.name, described):
            return False
        labels, derivation = self._labels(given, own_seed)
        kept = compact(labels)
        image = synthesize(labels, self.model, seed=own_seed, **self.settings)
        writer.check(image, labels)
        made = writer.write(image, kept, tiles, self.cancel)
        facts = {"derivation": derivation, **_geometry(image, self.model.card)}
        facts |= {"software": software(), "sha256": made}
        self.record.enter(writer.name, {**described, **facts})
        return True

    def _opened(self, entry: Entry) -> tuple[Raster, dict[str, Any]]:
        if entry.problem is not None:
            raise entry.problem
        if self._open is None or self._open[0] is not entry:
            given = open_label_map(entry.source)
            facts = signature(given)
            facts.pop("path")  # of a folder that may be moved
            self._open = entry, given, facts
        return self._open[1:]

    def _labels(self, given: Raster, seed: int) -> tuple[Raster, Any]:
        if not self.derive:
            return given, None
        classes = self.settings.get("classes")
        labels = derive_labels(given, seed=seed, model=self.model, classes=classes, **self.derive)
        return labels, labels.provenance["steps"][-1]["settings"]


def seed_of(seed: int, name: str, number: int) -> int:
    """Seed of an image, whatever else the data set holds: from 0 to 2³² - 1."""
    return zlib.crc32(f"{seed}/{name}/{number}".encode())


def _check(variants: Any, derive: Any, seed: Any) -> None:
    whole = isinstance(variants, int | np.integer) and not isinstance(variants, bool)
    if not whole or not 1 <= variants <= MOST_VARIANTS:
        raise InputError(
            f"variants={variants!r}: expected a whole number from 1 to {MOST_VARIANTS}."
        )
    if derive is not None and not isinstance(derive, Mapping):
        raise InputError(f"derive={derive!r}: expected arguments of derive_labels by name.")
    own = dict(derive or {})
    check_settings(derive_labels, "derive_labels", own, ("seed", "model", "classes"))
    own.pop("onto", None)
    Derivation.of(**(own if derive else {"flip": True}), seed=seed)


def _head(
    model: Model, derive: Mapping[str, Any] | None, files: Format, seed: int,
    settings: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """What all images have in common."""
    card = model.card
    return {
        "software": software(), "format": files,
        "model": {"name": card.name, "fingerprint": model.fingerprint, "licence": card.licence},
        "classes": _classes(card, settings.get("classes")), "pixel_size": card.pixel_size,
        "seed": int(seed), "derive": plain(dict(derive)) if derive else None,
        "settings": {name: described_setting(each) for name, each in sorted(settings.items())},
    }  # fmt: skip


def _classes(card: ModelCard, given: Mapping[Any, Any] | None) -> list[dict[str, Any]]:
    """The classes that maps may have, as a recipe's ``classes`` names them."""
    values: dict[int, list[int]] = {}
    for value, number in ClassTable.of(card, given).numbers.items():
        values.setdefault(number, []).append(value)
    found = []
    for number, channel in enumerate(card.class_inputs):
        if number in values:
            first, *others = values[number]
            one = {"value": first, "name": channel.name, "colour": channel.colour}
            found.append(one | ({"also": others} if others else {}))
    return found


def _geometry(image: Raster, card: ModelCard) -> dict[str, Any]:
    """Size and place of an image; its pixel size in µm is the model's where the map has none."""
    known = image.pixel_size
    usual = None if card.pixel_size is None else [card.pixel_size] * 2
    return {
        "axes": image.axes, "shape": list(image.shape), "dtype": image.dtype.name,
        "scale": list(image.scale), "units": list(image.units),
        "pixel_size": usual if known is None else list(known),
    }  # fmt: skip
