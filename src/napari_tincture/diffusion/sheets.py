"""Where the pixels of large drawings are kept: on the disk, from strip to strip."""

from __future__ import annotations

import json
import math
import os
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_tincture.durable import write_file, write_json
from napari_tincture.errors import OutputError

Shape = tuple[int, int, int]
LARGE = 2**28
"""Bytes from which on an image stays on the disk when it is found again."""
COMPLETE = "complete.json"
"""Notes that a drawing is finished."""


@dataclass
class Sheets:
    """Images that the operating system keeps in memory as far as there is room.

    Attributes
    ----------
    folder
        Where unfinished images are found again after a kill, in files by their depth; None: in
        files without a name, which are gone with their images.
    scratch
        Where these are; None: the system's folder for temporary files.
    """

    folder: Path | None = None
    scratch: Path | None = None
    _mapped: dict[int, np.memmap[Any, Any]] = field(default_factory=dict)

    def image(self, depth: int, shape: Shape) -> Tensor:
        """An image (c, y, x) float32 to be filled, or as an earlier run left it."""
        if self.folder is None:
            return self.blank(shape)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(depth)
        made = _mapped(path)
        if made is None or made.shape != shape:
            self._note(depth).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            _make(path, shape)
            made = np.lib.format.open_memmap(path, "r+")
        self._mapped[depth] = made
        return torch.from_numpy(made)

    def blank(self, shape: Shape) -> Tensor:
        """An image (c, y, x) float32 of zeros, which nobody but the caller can find."""
        with tempfile.TemporaryFile(dir=self.scratch) as file:
            file.truncate(4 * math.prod(shape))
            _reserve(file, 4 * math.prod(shape))
            return torch.from_numpy(np.memmap(file, np.float32, "r+", shape=shape))

    def finished(self, depth: int, key: str) -> int:
        """How many strips of an image an earlier run finished, if it cut them in the same way."""
        if self.folder is None:
            return 0
        try:
            known = json.loads(self._note(depth).read_text("utf-8"))
        except (OSError, ValueError, TypeError):
            return 0
        return int(known["strips"]) if known["key"] == key else 0

    def finish(self, depth: int, key: str, strips: int) -> None:
        """Note that so many strips are on the disk."""
        if self.folder is not None:
            self._mapped[depth].flush()
            write_json(self._note(depth), {"key": key, "strips": strips})

    def keep(self, images: Sequence[Tensor]) -> None:
        """Write finished images, by their depth, unless they are there; a kill leaves no half."""
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        for depth, image in enumerate(images):
            if depth not in self._mapped:
                write_file(self._path(depth), partial(_save, image))
        write_json(self.folder / COMPLETE, {"images": len(images)})

    def kept(self) -> list[Tensor]:
        """Images that an earlier run finished, by their depth; none if it did not."""
        assert self.folder is not None
        try:
            count = int(json.loads((self.folder / COMPLETE).read_text("utf-8"))["images"])
        except (OSError, ValueError, TypeError, KeyError):
            return []
        return [torch.from_numpy(_load(self._path(depth))) for depth in range(count)]

    def _path(self, depth: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{depth}.npy"

    def _note(self, depth: int) -> Path:
        return self._path(depth).with_suffix(".json")


def _mapped(path: Path) -> np.memmap[Any, Any] | None:
    """What an earlier run left; None if nothing, or it was killed while it made the file."""
    try:
        return np.lib.format.open_memmap(path, "r+")
    except (OSError, ValueError):
        return None


def _make(path: Path, shape: Shape) -> None:
    """Make a file whose space is taken, unless another process has just made it."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        np.lib.format.open_memmap(part, "w+", np.float32, shape)
        with part.open("r+b") as file:
            _reserve(file, part.stat().st_size)
        try:
            path.hardlink_to(part)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _reserve(file: Any, size: int) -> None:
    """Take the disk's space now: a mapped file that finds none later ends the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise OutputError(
            f"An image larger than memory takes {size / 2**30:.1f} GiB of the disk while it is "
            f"drawn: {error}. Make room there, or synthesize a region."
        ) from error


def _load(path: Path) -> NDArray[np.float32]:
    # What is changed of a mapped file is changed in memory alone.
    large = path.stat().st_size > LARGE
    found: NDArray[np.float32] = np.load(path, mmap_mode="c" if large else None)
    return found


def _save(image: Tensor, file: Any) -> None:
    np.save(file, image.numpy())
