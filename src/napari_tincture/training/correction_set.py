"""What people said of stains, kept as a growing data set; no torch here.

A folder: crops as TIFF under ``crops``, and ``index.json``, which says what each is. A region is
part of the set once the index names it, and is named by its content: nothing is stored twice, and
what a kill left behind is overwritten when the same is stored again. Nothing is ever removed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from napari_tincture.durable import write_file, write_json
from napari_tincture.errors import InputError, OutputError

UNMARKED, RIGHT, WRONG = 0, 1, 2
"""Values of marks."""
FORMAT = 1
Box = tuple[int, int, int, int]
"""First and last-but-one row, first and last-but-one column."""


@dataclass(frozen=True)
class Region:
    """A marked place of a stained image, with its surroundings.

    Attributes
    ----------
    input
        (c, y, x) values as the model was given them, before normalisation.
    stain
        (c', y, x) as it was: integers scaled from the output range, or the network's values.
    marks
        (y, x) uint8: 0 unmarked, 1 right, 2 wrong.
    reference
        (c', y, x) of the chemical stain, or None.
    covered
        (y, x) bool: where the reference has pixels; None: everywhere.
    facts
        What is to be kept beside: ``source`` and ``place`` of the image, ``model``, ``weights``,
        ``weight``, and how values become the network's; JSON-serialisable.
    """

    input: NDArray[Any]
    stain: NDArray[Any]
    marks: NDArray[np.uint8]
    reference: NDArray[Any] | None
    facts: Mapping[str, Any]
    covered: NDArray[np.bool_] | None = None

    @property
    def weight(self) -> NDArray[np.float32]:
        """How much each pixel's target counts, (y, x): the reference's, or the stain's itself.

        With a reference 1, and more where the stain is wrong; else 1 where it is right.
        """
        if self.reference is None:
            return np.asarray(self.marks == RIGHT, np.float32)
        heavy = np.where(self.marks == WRONG, self.facts["weight"], 1)
        covered = True if self.covered is None else self.covered
        return np.asarray(heavy * covered, np.float32)

    @property
    def files(self) -> dict[str, NDArray[Any]]:
        """What is written, by name."""
        found = {"input": self.input, "stain": self.stain, "marks": self.marks[None]}
        if self.reference is not None:
            found["reference"] = self.reference
        return {**found, "weight": self.weight[None]}


@dataclass(frozen=True, slots=True)
class Record:
    """One region of the set, as its index has it.

    Attributes
    ----------
    id
        SHA-256 of its content, shortened.
    right, wrong
        Marked pixels.
    reference
        Whether the chemical stain is there.
    facts
        As of `Region`.
    replaced
        Of which region that was stored later this one is part; "": of none.
    """

    id: str
    right: int
    wrong: int
    reference: bool
    facts: Mapping[str, Any] = field(default_factory=dict)
    replaced: str = ""


class Corrections:
    """The data set in a folder, which may not be there yet."""

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.folder = Path(folder)

    def __len__(self) -> int:
        return len(self.records())

    def __repr__(self) -> str:
        return f"Corrections({str(self.folder)!r}): {self.described}"

    @property
    def described(self) -> str:
        """What it holds, in words."""
        records = self.records()
        known = sum(record.reference for record in records)
        noun = "region" if len(records) == 1 else "regions"
        return f"{len(records)} {noun}, {known} with a reference"

    def records(self, ids: Sequence[str] | None = None) -> tuple[Record, ...]:
        """Its regions in the order in which they came, without those that were replaced.

        Parameters
        ----------
        ids
            Of the wanted ones, replaced or not.

        Raises
        ------
        InputError
            If the index cannot be read, or there is no such region.
        """
        own = self._all()
        if ids is None:
            return tuple(record for record in own.values() if not record.replaced)
        missing = [name for name in ids if name not in own]
        if missing:
            raise InputError(
                f"{self.folder} holds no correction {missing[0]} ({len(missing)} of {len(ids)} are "
                "missing). Give the folder that the recipe was made for."
            )
        return tuple(own[name] for name in ids)

    def path(self, record: Record, name: str) -> Path:
        """File of "input", "stain", "marks", "weight" or "reference"."""
        return self.folder / "crops" / f"{record.id}-{name}.tif"

    def add(self, regions: Sequence[Region]) -> int:
        """Store regions; gives how many were new.

        Several processes may do so at once.

        Raises
        ------
        OutputError
            If the folder cannot be written; what was there stays as it was.
        """
        new = 0
        with self._writing():
            known = self._all()
            for region in regions:
                record = _record(region)
                if record.id in known:
                    continue
                for name, values in region.files.items():
                    write_file(self.path(record, name), partial(_write_tiff, values))
                known = {old.id: _replaced(old, record) for old in known.values()}
                known[record.id] = record
                write_json(self._index, _as_json(known))
                new += 1
        return new

    @property
    def _index(self) -> Path:
        return self.folder / "index.json"

    def _all(self) -> dict[str, Record]:
        if not self._index.exists():
            return {}
        try:
            found = json.loads(self._index.read_text("utf-8"))
            if found["format"] != FORMAT:
                raise InputError(
                    f"{self._index} has format {found['format']}; this release reads {FORMAT}. "
                    "Update napari-tincture."
                )
            return {item["id"]: Record(**item) for item in found["regions"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{self._index} cannot be read as the index of corrections: {error!r}. Restore it "
                "from a copy, or choose another folder."
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            (self.folder / "crops").mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "lock"):
                yield
        except OSError as error:
            raise OutputError(
                f"Cannot write corrections to {self.folder}: {error}. Make room, or choose another "
                "folder, and store them again; what was stored before is kept."
            ) from error


def pinned(folder: str | PathLike[str]) -> dict[str, Any]:
    """What a recipe says of all corrections that there are now.

    The data set may grow while a training is interrupted; what it learns from stays the same.
    """
    data = filled(Path(folder).absolute())
    return {"folder": str(data.folder), "regions": [record.id for record in data.records()]}


def filled(folder: str | PathLike[str]) -> Corrections:
    """The data set in a folder; `InputError` if there is nothing in it."""
    data = Corrections(folder)
    if not len(data):
        raise InputError(f"There are no corrections in {folder}; store some with correct(…) first.")
    return data


def _record(region: Region) -> Record:
    digest = hashlib.sha256(json.dumps(dict(region.facts), sort_keys=True).encode())
    for name, values in region.files.items():
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    right, wrong = (int(np.count_nonzero(region.marks == mark)) for mark in (RIGHT, WRONG))
    known = region.reference is not None
    return Record(digest.hexdigest()[:20], right, wrong, known, dict(region.facts))


def _replaced(old: Record, new: Record) -> Record:
    """The older region, replaced if it is part of the same place in the same stain."""
    same = all(old.facts.get(key) == new.facts.get(key) for key in ("source", "plane", "weights"))
    if old.replaced or not same or not _holds(new.facts["box"], old.facts["box"]):
        return old
    return dataclasses.replace(old, replaced=new.id)


def _holds(outer: Sequence[int], inner: Sequence[int]) -> bool:
    top, bottom, left, right = outer
    return (
        top <= inner[0] and inner[1] <= bottom and left <= inner[2] and inner[3] <= right
    )  # fmt: skip


def _as_json(records: Mapping[str, Record]) -> dict[str, Any]:
    return {"format": FORMAT, "regions": [dataclasses.asdict(r) for r in records.values()]}


def _write_tiff(values: NDArray[Any], file: Any) -> None:
    import tifffile

    tifffile.imwrite(
        file, np.ascontiguousarray(values), photometric="minisblack", compression="zlib",
        metadata={"axes": "CYX"},
    )  # fmt: skip
