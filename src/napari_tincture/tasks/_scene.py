"""Drawn planes as a result: each is drawn once, when it is first needed, and kept."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import Index
from napari_tincture.checkpoint import Checkpoint, Task
from napari_tincture.device import memory_budget
from napari_tincture.diffusion.answers import Journal
from napari_tincture.diffusion.canvas import Place
from napari_tincture.diffusion.drawing import Drawn
from napari_tincture.diffusion.keeping import Keeping
from napari_tincture.diffusion.sheets import Sheets
from napari_tincture.io.provenance import versions
from napari_tincture.io.tile_cache import scratch_folder
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Raster
from napari_tincture.runner import Write
from napari_tincture.tasks._look import Block, Look, Plane

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 4
"""What part of the free memory drawn planes may fill before some are dropped."""
BLOCK = 512
"""Side of the blocks in which a drawn plane is handed on."""


class Artist(Protocol):
    """Who draws planes."""

    @property
    def shown(self) -> Mapping[Plane, Any]:
        """What planes showed when they were drawn."""

    @property
    def source(self) -> Any:
        """What planes show, whether they were drawn or not."""

    def draw(
        self, plane: Plane, progress: Progress, cancel: CancelToken, show: Show, keeping: Keeping
    ) -> Drawn:
        """Draw one."""

    def remember(self, plane: Plane) -> Any:
        """What a drawn plane shows, for nobody knows what its source will show later."""

    def facts(self) -> dict[str, Any]:
        """What was found out, for the provenance."""

    def identity(self) -> dict[str, Any]:
        """What decides about the numbers, JSON-serialisable."""


Show = Callable[[npt.NDArray[np.float32], Place], None]
"""Takes what a rectangle of a plane looks like for the moment, (c, y, x)."""


def unseen(plane: Plane, values: npt.NDArray[np.float32], place: Place) -> None:
    """Show nobody."""


@dataclass
class Scene:
    """Planes that are drawn when they are first asked for; the runner of the result.

    Attributes
    ----------
    sources
        The images that the last step of the provenance started from.
    show
        Shown what a rectangle of a plane looks like while it is drawn; the rectangle may reach
        beyond the plane.
    """

    artist: Artist
    look: Look
    sources: tuple[Raster, ...] = ()
    show: Callable[[Plane, npt.NDArray[np.float32], Place], None] = unseen
    drawn: dict[Plane, Drawn] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def plane(
        self, plane: Plane, progress: Progress | None = None, cancel: CancelToken | None = None,
        folder: Path | None = None,
    ) -> Drawn:  # fmt: skip
        """Draw a plane, unless it was; in a folder it is kept for a later run."""
        with self._lock:
            found = self.drawn.get(plane)
            if found is not None:
                return found
            if folder is not None:
                found = _drawn(_sheets(folder, plane).kept())
            if found is None:
                report, token = progress or as_callback(None), cancel or CancelToken()
                found = self._draw(plane, report, token, folder)
            self.artist.remember(plane)
            self.drawn[plane] = found
            _forget_others(self, plane)
            return found

    def _draw(
        self, plane: Plane, report: Progress, cancel: CancelToken, folder: Path | None
    ) -> Drawn:
        show = partial(self.show, plane)
        sheets = _sheets(folder, plane)
        if sheets.folder is None:
            return self.artist.draw(plane, report, cancel, show, Keeping(sheets=sheets))
        journal = Journal(sheets.folder.with_suffix(".answers"))
        found = self.artist.draw(plane, report, cancel, show, Keeping(journal, sheets))
        sheets.keep(_levels(found))
        journal.clear()
        return found

    def values(self, plane: Plane, place: Place, **how: Any) -> Block:
        """A rectangle of a plane in the result's type and axes."""
        return self._block(self.plane(plane, **how), place)

    def _block(self, drawn: Drawn, place: Place) -> Block:
        return self.look.block(drawn.image[(slice(None), *place)].numpy())

    def lazily(self, name: str) -> da.Array:
        """The result as a dask array; nothing is drawn."""
        look = self.look
        sizes = dict(zip(look.leading, ((1,) * n for n in look.counts), strict=True))
        sizes |= {"c": (look.channels or 1,)}
        sizes |= {a: _parts(n) for a, n in zip("yx", look.shape, strict=True)}

        def block(block_id: Sequence[int]) -> Block:
            plane = tuple(block_id[look.axes.index(axis)] for axis in look.leading)
            place = tuple(_part(i, n) for i, n in zip(block_id[-2:], look.shape, strict=True))
            return self.values(plane, place)  # type: ignore[arg-type]

        return da.map_blocks(  # type: ignore[no-any-return]
            block, chunks=tuple(sizes[axis] for axis in look.axes), dtype=look.dtype,
            meta=np.empty((0,) * len(look.axes), look.dtype), name=f"{name}-{uuid.uuid4().hex}",
        )  # fmt: skip

    def stream(
        self, write: Write, progress: Progress, cancel: CancelToken,
        checkpoint: Checkpoint | None = None,
    ) -> Mapping[str, Any] | None:  # fmt: skip
        """Draw one plane after the other and hand it on, or what a checkpoint misses of it."""
        planes = self.look.planes
        for number, plane in enumerate(planes):
            wanted = [
                index
                for index in (self._blocks(plane) if checkpoint is None else checkpoint.missing)
                if self._covers(index, plane)
            ]
            report = share(progress, number, len(planes))
            if wanted:
                self._hand_on(plane, wanted, write, report, cancel, checkpoint)
            report(1, 1)
        return self.facts()

    def _hand_on(
        self, plane: Plane, wanted: Sequence[Index], write: Write, report: Progress,
        cancel: CancelToken, checkpoint: Checkpoint | None,
    ) -> None:  # fmt: skip
        folder = None if checkpoint is None else checkpoint.folder
        drawn = self.plane(plane, report, cancel, folder)
        for index in wanted:
            cancel.check()
            place = index[-2], index[-1]
            write(self.look.index(plane, place), self._block(drawn, place))
        if folder is not None and os.name == "nt":
            # Files that are open there cannot be deleted with the folder.
            self.drawn.pop(plane, None)

    def _blocks(self, plane: Plane) -> Iterator[Index]:
        rows, columns = (range(len(_parts(n))) for n in self.look.shape)
        for i, j in product(rows, columns):
            y, x = (_part(k, n) for k, n in zip((i, j), self.look.shape, strict=True))
            yield self.look.index(plane, (y, x))

    def _covers(self, index: Index, plane: Plane) -> bool:
        axes = self.look.axes
        return all(
            index[axes.index(axis)].start <= i < index[axes.index(axis)].stop
            for axis, i in zip(self.look.leading, plane, strict=True)
        )

    def rounds(self, checkpoint: Checkpoint, workers: int = 1) -> Iterator[Sequence[Task]]:
        """A task per area, each of which draws the planes that it needs."""
        yield [{"area": [[s.start, s.stop] for s in area]} for area in checkpoint.missing]

    def perform(
        self, task: Task, checkpoint: Checkpoint, write: Write, cancel: CancelToken
    ) -> None:
        """Write one area."""
        area = tuple(slice(*edges) for edges in task["area"])
        for plane in self.look.planes:
            if self._covers(area, plane):
                own = self.look.index(plane, (area[-2], area[-1]))
                how = {"cancel": cancel, "folder": checkpoint.folder}
                write(own, self.values(plane, (area[-2], area[-1]), **how))

    def continuing(self, checkpoint: Checkpoint) -> AbstractContextManager[None]:
        """Nothing that earlier runs have decided is to be kept but the planes that they drew."""
        return nullcontext()

    def freeze(self) -> dict[str, Any]:
        """What decides about the numbers is all in `identity`."""
        return {"free": {"run": {}}}

    def identity(self) -> dict[str, Any]:
        """What is drawn, by which model, and how."""
        return {**self.artist.identity(), "dtype": self.look.dtype.name}

    def outcome(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """What only the run could tell."""
        return self.facts()

    def facts(self) -> dict[str, Any]:
        """What was found out so far."""
        return {**self.artist.facts(), "versions": versions()}


def _forget_others(scene: Scene | None, latest: Plane) -> None:
    """Drop planes beyond their share of memory, of this scene and of those it was repainted from.

    Those drawn first go first. If they are asked for again they are drawn again, to the same
    numbers.
    """
    room, first = memory_budget("cpu") // KEPT, scene
    while scene is not None:
        for plane in list(scene.drawn)[::-1]:
            room -= sum(image.nbytes for image in _levels(scene.drawn[plane]))
            if room < 0 and (scene is not first or plane != latest):
                del scene.drawn[plane]
        scene = getattr(scene.artist, "known", None)


def _parts(length: int) -> tuple[int, ...]:
    whole, rest = divmod(length, BLOCK)
    return (BLOCK,) * whole + ((rest,) if rest else ())


def _part(number: int, length: int) -> slice:
    return slice(number * BLOCK, min((number + 1) * BLOCK, length))


def _sheets(folder: Path | None, plane: Plane) -> Sheets:
    own = None if folder is None else folder / f"plane-{'-'.join(map(str, plane))}"
    return Sheets(own, scratch_folder())


def _levels(drawn: Drawn | None) -> list[Tensor]:
    """Images of a drawing and of those that it began with."""
    found = []
    while drawn is not None:
        found.append(drawn.image)
        drawn = drawn.coarse
    return found


def _drawn(levels: Sequence[Tensor]) -> Drawn | None:
    found: Drawn | None = None
    for image in reversed(levels):
        found = Drawn(image, found)
    return found
