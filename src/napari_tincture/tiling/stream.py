"""Running a whole job: reading, computing and writing side by side, in bounded memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Self, TypeVar

import numpy.typing as npt

from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.tiling.job import Block, Item, TileJob

T = TypeVar("T")
_END: Any = object()


def stream(
    job: TileJob,
    write: Callable[[Item, Block], None],
    progress: Progress = as_callback(None),  # noqa: B008 - a constant
    cancel: CancelToken | None = None,
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

    Raises
    ------
    Cancelled
        If `cancel` was raised. Whatever reading, computing or writing raises comes out here too.
    """
    token = cancel or CancelToken()
    # A result larger than the cache would only push itself out of it.
    keep = job.bytes <= job.cache.limit
    total = len(job)
    done = 0
    progress(done, total)
    with _Writer(write) as writer:

        def finished(item: Item, block: Block) -> None:
            nonlocal done
            writer.put((item, block))
            done += 1
            progress(done, total)

        for plane in job.inputs.planes:
            written: set[tuple[int, int]] = set()
            for item, block in _cached(job, plane):
                written.add(item[1].index)
                finished(item, block)

            def deliver(item: Item, block: Block, written: set[Any] = written) -> None:
                if item[1].index not in written:
                    written.add(item[1].index)
                    if keep:
                        job.keep(item, block)
                    finished(item, block)

            if len(written) < len(job.grid):
                job.values_of(plane, token, deliver)
            left = [(plane, tile) for tile in job.grid if tile.index not in written]
            with _Reader(job.read, left) as reader:
                for batch in _batches(reader, job):
                    token.check()
                    for item, block in job.compute(batch, keep):
                        finished(item, block)


def _cached(job: TileJob, plane: tuple[int, ...]) -> Iterator[tuple[Item, Block]]:
    for tile in job.grid:
        block = job.cache.get((plane, tile.index))
        if block is not None:
            yield (plane, tile), block


def _batches(
    reader: Iterable[tuple[Item, npt.NDArray[Any]]], job: TileJob
) -> Iterator[list[tuple[Item, npt.NDArray[Any]]]]:
    batch: list[tuple[Item, npt.NDArray[Any]]] = []
    for loaded in reader:
        batch.append(loaded)
        if len(batch) >= job.batch:
            yield batch
            batch = []
    if batch:
        yield batch


class _Reader(Generic[T]):
    """Reads items ahead in a thread of its own, which ends with the block."""

    def __init__(self, read: Callable[[T], npt.NDArray[Any]], items: list[T]) -> None:
        self._read, self._items = read, items
        self._ready: queue.Queue[Any] = queue.Queue(maxsize=2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tincture-reader")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            _drain(self._ready)
            self._thread.join(timeout=0.01)

    def __iter__(self) -> Iterator[tuple[T, npt.NDArray[Any]]]:
        while True:
            found = self._ready.get()
            if found is _END:
                return
            if isinstance(found, BaseException):
                raise found
            yield found

    def _run(self) -> None:
        try:
            for item in self._items:
                if self._stop.is_set():
                    return
                self._ready.put((item, self._read(item)))
            self._ready.put(_END)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that reads the queue
            self._ready.put(error)


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


def _drain(waiting: queue.Queue[Any]) -> None:
    try:
        while True:
            waiting.get_nowait()
    except queue.Empty:
        return
