"""What computes a raster: in one go, from where an interrupted run stopped, or in shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy.typing as npt

from napari_tincture.arrays import Index
from napari_tincture.checkpoint import Checkpoint, Task
from napari_tincture.progress import CancelToken, Progress

Write = Callable[[Index, npt.NDArray[Any]], None]
"""Takes a block of level 0: its place (slices with int start and stop, no step) and its values."""


class Divisible(Protocol):
    """Work that several processes can do side by side."""

    def rounds(self, checkpoint: Checkpoint, workers: int) -> Iterator[Sequence[Task]]:
        """Divide what `stream` does into tasks for several processes.

        Yields
        ------
        sequence of Task
            Tasks that can be done side by side. The next are asked for when these are finished.
        """
        ...

    def perform(
        self, task: Task, checkpoint: Checkpoint, write: Write, cancel: CancelToken
    ) -> None:
        """Do one task, within `continuing`."""
        ...

    def continuing(self, checkpoint: Checkpoint) -> AbstractContextManager[None]:
        """Take over what earlier runs have decided and found, around `perform`."""
        ...

    def outcome(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """What only the run could tell, when all tasks are done; needs no device."""
        ...


class Runner(Divisible, Protocol):
    """Who computes level 0 of a raster faster, or with more final values, than its dask array."""

    def stream(
        self,
        write: Write,
        progress: Progress,
        cancel: CancelToken,
        checkpoint: Checkpoint | None = None,
    ) -> Mapping[str, Any] | None:
        """Call `write` with blocks that cover level 0, or what `checkpoint` still misses of it.

        Returns
        -------
        mapping or None
            JSON-serialisable facts that only the run could tell, for the provenance.
        """
        ...

    def freeze(self) -> dict[str, Any]:
        """Everything that decides about the numbers, JSON-serialisable.

        What another run may choose otherwise, but must take over to give the same bytes, is under
        ``free``.
        """
        ...

    def identity(self) -> dict[str, Any]:
        """What the result is computed from and by, JSON-serialisable; the network is not run."""
        ...
