"""Trainings that were begun, and can be gone on with: a folder of checkpoints; no torch here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_tincture.durable import write_json
from napari_tincture.errors import InputError, OutputError
from napari_tincture.models.shipped import library_folder, unused_path


@dataclass(frozen=True, slots=True)
class Begun:
    """A training in the user's library.

    Attributes
    ----------
    name
        Of the training, its files and its model.
    recipe
        As JSON.
    sources
        What it learns from, as whoever began it describes that.
    step
        How many had been taken when last it was written down.
    """

    name: str
    recipe: Mapping[str, Any]
    sources: Mapping[str, Any] = field(default_factory=dict)
    step: int = 0

    @property
    def steps(self) -> int:
        """How many there are to take."""
        return int(self.recipe["schedule"]["steps"])

    @property
    def checkpoint(self) -> Path:
        """File to resume from."""
        return trainings_folder() / f"{self.name}.checkpoint"

    @property
    def log(self) -> Path:
        """Table of losses and figures."""
        return self.checkpoint.with_suffix(".log.csv")

    @property
    def model(self) -> Path:
        """Weight file of the finished model."""
        return library_folder() / f"{self.name}.safetensors"

    def at(self, step: int) -> Begun:
        """The same, so many steps on."""
        return replace(self, step=step)

    def write(self) -> None:
        """Note where it stands.

        Raises
        ------
        OutputError
            If the folder cannot be written to.
        """
        try:
            trainings_folder().mkdir(parents=True, exist_ok=True)
            write_json(_file(self.name), asdict(self))
        except OSError as error:
            raise OutputError(
                f"Cannot write to {trainings_folder()}: {error}. Make room, or name another "
                "folder with NAPARI_TINCTURE_MODELS."
            ) from error

    def discard(self) -> None:
        """Remove the checkpoint and all beside it, but not the model."""
        for path in (self.checkpoint, self.log, _file(self.name)):
            path.unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Train within this block; nobody else does.

        Raises
        ------
        InputError
            If somebody does.
        """
        from filelock import FileLock, Timeout

        trainings_folder().mkdir(parents=True, exist_ok=True)
        lock = FileLock(trainings_folder() / f"{self.name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(
                f"{self.name} is being trained in another window. Wait for it, or begin another."
            ) from None
        try:
            yield
        finally:
            lock.release()


def trainings_folder() -> Path:
    """Folder of checkpoints in the user's library; it need not exist."""
    return library_folder() / "training"


def unused_name(wanted: str) -> str:
    """A name that no model and no training has, like the one that is wanted."""
    stem = unused_path(wanted).stem
    taken = {path.stem for path in trainings_folder().glob("*.json")}
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken and unused_path(name).stem == name)


def list_begun() -> list[Begun]:
    """Trainings that have a checkpoint, the latest first."""
    found = [read_begun(path.stem) for path in trainings_folder().glob("*.json")]
    with_checkpoint = [each for each in found if each is not None and each.checkpoint.is_file()]
    return sorted(with_checkpoint, key=lambda each: -each.checkpoint.stat().st_mtime)


def read_begun(name: str) -> Begun | None:
    """A training by its name; None if there is none, or another release wrote it."""
    try:
        begun = Begun(**json.loads(_file(name).read_text("utf-8")))
        return begun if begun.steps else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _file(name: str) -> Path:
    return trainings_folder() / f"{name}.json"
