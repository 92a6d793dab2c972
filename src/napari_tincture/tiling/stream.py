"""Running a whole job: reading, computing and writing side by side, in bounded memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy.typing as npt

from napari_tincture.ahead import Ahead
from napari_tincture.grid import Tile
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.tiling.inputs import Plane
from napari_tincture.tiling.job import Block, Item, TileJob

_END: Any = object()


def stream(
    job: TileJob,
    write: Callable[[Item, Block], None],
    progress: Progress = as_callback(None),  # noqa: B008 - a constant
    cancel: CancelToken | None = None,
    wanted: Sequence[Sequence[Item]] | None = None,
) -> None:
    """Compute all blocks of a job and hand each to `write`, in an order of the job's choice.

    Parameters
    ----------
    write
        Takes the item (plane, tile) and its block (c, y, x); called from one other thread.
    progress
        Called in this thread with the number of finished and of all tiles.
    cancel
        Checked between tiles.
    wanted
        What is still missing, in the order in which it is wanted; None for all. The others count
        as finished. Batches do not reach over the groups.

    Raises
    ------
    Cancelled
        If `cancel` was raised. Whatever reading, computing or writing raises comes out here too.
    """
    token = cancel or CancelToken()
    # A result larger than the cache would only push itself out of it, and what goes to the disk
    # need not take memory, too.
    keep = wanted is None and job.bytes <= job.cache.limit
    total = len(job)
    by_plane = _by_plane([job.items()] if wanted is None else wanted)
    done = total - sum(map(len, by_plane.values()))
    progress(done, total)
    with _Writer(write) as writer:

        def finished(item: Item, block: Block) -> None:
            nonlocal done
            writer.put((item, block))
            done += 1
            progress(done, total)

        for plane, left in by_plane.items():
            for item, block in _cached(job, plane, left):
                token.check()
                del left[item[1].index]
                finished(item, block)

            def deliver(item: Item, block: Block, left: Tiles = left) -> None:
                if left.pop(item[1].index, None) is not None:
                    if keep:
                        job.keep(item, block)
                    finished(item, block)

            if left:
                job.values_of(plane, token, deliver)
            items = [(plane, tile) for tile, _ in left.values()]
            groups = [group for _, group in left.values()]
            with Ahead(job.ahead, items, "tincture-reader") as reader:
                for batch in _batches(reader, job, groups):
                    token.check()
                    for item, block in job.compute(batch, keep):
                        finished(item, block)


Tiles = dict[tuple[int, int], tuple[Tile, int]]
"""Tiles of a plane by index, each with the number of its group."""


def _by_plane(groups: Iterable[Iterable[Item]]) -> dict[Plane, Tiles]:
    found: dict[Plane, Tiles] = {}
    for number, group in enumerate(groups):
        for plane, tile in group:
            found.setdefault(plane, {})[tile.index] = tile, number
    return found


def _cached(job: TileJob, plane: Plane, left: Tiles) -> Iterator[tuple[Item, Block]]:
    for tile, _ in list(left.values()):
        block = job.cache.get((plane, tile.index))
        if block is not None:
            yield (plane, tile), block


def _batches(
    reader: Iterable[tuple[Item, npt.NDArray[Any]]], job: TileJob, groups: Sequence[int]
) -> Iterator[list[tuple[Item, npt.NDArray[Any]]]]:
    batch: list[tuple[Item, npt.NDArray[Any]]] = []
    for number, loaded in enumerate(reader):
        batch.append(loaded)
        last = number + 1 == len(groups) or groups[number] != groups[number + 1]
        if last or len(batch) >= job.portions.batch:
            yield batch
            batch = []


class _Writer:
    """Writes in a thread of its own; an error comes out at the next put or at the end."""

    def __init__(self, write: Callable[[Item, Block], None]) -> None:
        self._write = write
        self._waiting: queue.Queue[Any] = queue.Queue(maxsize=4)
        self._error: BaseException | None = None
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="tincture-writer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._waiting.put(_END)
        self._thread.join()
        if kind is None:
            self._raise()

    def put(self, found: tuple[Item, Block]) -> None:
        """Queue a block; waits while the writer is behind."""
        self._raise()
        self._waiting.put(found)

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _run(self) -> None:
        while (found := self._waiting.get()) is not _END:
            # After an error the queue is still emptied, so that nobody waits for ever.
            if not self._failed:
                try:
                    self._write(*found)
                except BaseException as error:  # noqa: BLE001 - raised again by put or at the end
                    self._error, self._failed = error, True
