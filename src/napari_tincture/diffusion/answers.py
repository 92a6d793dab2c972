"""What a denoiser answered, kept until a drawing is finished, so that a killed one can go on.

A sampler is a function of the answers alone: given those of its first steps again, it comes to the
same state, whatever it remembers of them.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from napari_tincture.durable import write_file

OF_FREE = 2
"""What part of the disk's free space may be filled: the result wants some, too."""


class Answers(Protocol):
    """Keeps answers by name."""

    def find(self, name: str) -> Tensor | None:
        """The answer of this name, on the CPU; None if there is none."""

    def keep(self, name: str, answer: Tensor) -> None:
        """Keep an answer."""

    def drop(self, start: str) -> None:
        """Drop the answers whose names begin so; they will not be asked for."""


class Forgotten:
    """Keeps nothing."""

    def find(self, name: str) -> Tensor | None:
        """Know nothing."""
        del name
        return None

    def keep(self, name: str, answer: Tensor) -> None:
        """Drop it."""

    def drop(self, start: str) -> None:
        """Know nothing."""


FORGOTTEN = Forgotten()


class Journal:
    """Keeps answers as files, until it is cleared.

    Several processes that draw the same may share one; whoever is finished first clears it. It
    takes a plane of float32 on the disk per evaluation of the denoiser, and no more than a part of
    what is free there: what a run after a kill does not find, it asks for again.

    Parameters
    ----------
    folder
        Need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._room: int | None = None

    def find(self, name: str) -> Tensor | None:
        """The answer of this name, if an earlier run has kept it."""
        try:
            return torch.from_numpy(np.load(self._path(name)))
        except FileNotFoundError:
            return None

    def keep(self, name: str, answer: Tensor) -> None:
        """Write it; a kill leaves no half file."""
        values = answer.float().cpu().numpy()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._room is None:
                self._room = shutil.disk_usage(self._folder).free // OF_FREE
            if values.nbytes <= self._room:
                write_file(self._path(name), lambda file: np.save(file, values))
                self._room -= values.nbytes
        except FileNotFoundError:
            pass  # another process is finished, and cleared it
        except OSError:
            self._room = 0

    def drop(self, start: str) -> None:
        """Delete the files of some answers."""
        for path in self._folder.glob(f"{start}*.npy"):
            with suppress(FileNotFoundError):
                size = path.stat().st_size
                path.unlink()
                self._room = None if self._room is None else self._room + size

    def clear(self) -> None:
        """Drop all answers: the drawing is finished."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npy"
