"""Saving on the workers of a `distributed` cluster: each computes and writes its own shards.

1. What the workers need is put into one file beside the result, which each of them reads once:
   neither weights nor images travel with the tasks.
2. The raster's runner divides its work into rounds of tasks. Whoever does a task writes the shards
   that it completes, and tells what is known of them.
3. This process records finished shards, and hands out those of the upper levels as they become
   possible. A lost worker's tasks are done again by others: a shard is the same whoever writes it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.checkpoint import Checkpoint, Task
from napari_tincture.durable import flush_file
from napari_tincture.errors import OutputError, WorkerError
from napari_tincture.io.layout import Key, Layout
from napari_tincture.io.pyramid_store import PyramidStore, Record
from napari_tincture.io.shard_writer import ShardWriter
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Divisible, Raster, Write

_LOOK_EVERY = 0.25
"""Seconds after which a waiting run looks whether it was cancelled."""


def freeze_on(client: Any, raster: Raster) -> dict[str, Any]:
    """What decides about the numbers on the workers: their device and number of threads."""
    import cloudpickle

    remote = client.scatter(cloudpickle.dumps(raster))
    plan: dict[str, Any] = client.submit(_freeze, remote, pure=False).result()
    return plan


def compute_on(
    client: Any,
    raster: Raster,
    store: PyramidStore,
    writer: ShardWriter,
    checkpoint: Checkpoint,
    progress: Progress,
    cancel: CancelToken,
) -> Mapping[str, Any]:
    """Compute and write what a checkpoint misses; gives what only the run could tell."""
    import cloudpickle

    runner = raster.runner or _Reading(raster)
    work = _Work(raster, store, checkpoint)
    file = checkpoint.folder / "work.pickle"
    data = cloudpickle.dumps(work)
    file.write_bytes(data)
    flush_file(file)
    call = (str(file), hashlib.sha256(data).hexdigest())
    done, total = len(checkpoint.areas) - len(checkpoint.missing), len(checkpoint.areas)
    progress(done, total)
    workers = len(client.scheduler_info(n_workers=-1)["workers"])
    for tasks in runner.rounds(checkpoint, max(workers, 2)):
        queue = _Queue(client, call, cancel)
        for task in tasks:
            queue.put(_perform, task)
        for task, records in queue:
            for key, record in records:
                above = writer.add(key, record)
                if above is not None:
                    queue.put(_build, {"key": above})
            if "area" in task:
                done += 1
                progress(min(done, total), total)
    return runner.outcome(checkpoint)


class _Queue:
    """Tasks on their way; iterating gives each with its result, and ends when none is left."""

    def __init__(self, client: Any, call: tuple[str, str], cancel: CancelToken) -> None:
        self._client, self._call, self._cancel = client, call, cancel
        self._tasks: dict[Any, Task] = {}

    def put(self, function: Any, task: Task) -> None:
        future = self._client.submit(function, *self._call, task, pure=False)
        self._tasks[future] = task

    def __iter__(self) -> Iterator[tuple[Task, list[tuple[Key, Record]]]]:
        from distributed import wait

        try:
            while self._tasks:
                self._cancel.check()
                try:
                    with self._client.as_current():
                        done = wait(list(self._tasks), _LOOK_EVERY, "FIRST_COMPLETED").done
                except TimeoutError:
                    continue
                for future in done:
                    yield self._tasks.pop(future), _result(future)
        finally:
            self._client.cancel(list(self._tasks))


def _result(future: Any) -> list[tuple[Key, Record]]:
    from distributed.scheduler import KilledWorker

    try:
        return [(tuple(key), record) for key, record in future.result()]
    except KilledWorker as error:
        raise WorkerError(
            f"A part of the image ended several workers of the cluster one after the other: "
            f"{error}. Probably their memory did not suffice: give them more, or pass a smaller "
            "tile=. What is finished is kept, and the same call continues."
        ) from error


@dataclass
class _Work:
    """What a worker needs; opened by each once."""

    raster: Raster
    store: PyramidStore
    checkpoint: Checkpoint
    lock: Any = field(default_factory=threading.Lock)

    def __reduce__(self) -> Any:
        store = (self.store.folder, self.store.layout, self.raster.kind, self.raster.axes.find("c"))
        return _Work.rebuilt, (self.raster, store, self.checkpoint)

    @classmethod
    def rebuilt(
        cls, raster: Raster, store: tuple[Path, Layout, Any, int], checkpoint: Checkpoint
    ) -> _Work:
        return cls(raster, PyramidStore(*store), checkpoint)


class _Records(dict[Key, Record]):
    """Shards that one task has finished."""

    def add(self, key: Key, record: Record) -> None:
        self[key] = record


_OPENED: dict[str, _Work] = {}
_OPENING = threading.Lock()


def _opened(file: str, digest: str) -> _Work:
    """Open the work once per process; nothing but what the run has written is opened."""
    import cloudpickle

    with _OPENING:
        if digest not in _OPENED:
            try:
                data = Path(file).read_bytes()
            except OSError as error:
                raise OutputError(
                    f"A worker of the cluster cannot read {file}: {error}. The place of the result "
                    "must be on a file system that all workers share."
                ) from error
            if hashlib.sha256(data).hexdigest() != digest:
                raise OutputError(
                    f"{file} is not what this run has written: another run uses the same place."
                )
            _OPENED.clear()
            _OPENED[digest] = cloudpickle.loads(data)
        return _OPENED[digest]


def _freeze(pickled: bytes) -> dict[str, Any]:
    import cloudpickle
    from distributed import get_worker

    raster: Raster = cloudpickle.loads(pickled)
    assert raster.runner is not None
    plan = raster.runner.freeze()
    plan["free"]["run"]["threads"] = get_worker().state.nthreads
    return plan


def _perform(file: str, digest: str, task: Task) -> list[tuple[Key, Record]]:
    work = _opened(file, digest)
    done, runner = _Records(), work.raster.runner or _Reading(work.raster)
    scratch = work.checkpoint.folder.parent / "scratch"
    writer = ShardWriter(work.store, done, scratch, nullcontext, rise=False)
    # Threads of a worker take turns: torch uses them all.
    with work.lock, runner.continuing(work.checkpoint):
        runner.perform(task, work.checkpoint, writer.write, CancelToken())
    return list(done.items())


def _build(file: str, digest: str, task: Task) -> list[tuple[Key, Record]]:
    key = tuple(task["key"])
    return [(key, _opened(file, digest).store.build(key))]


class _Reading(Divisible):
    """Tasks of a raster that is only read."""

    def __init__(self, raster: Raster) -> None:
        self._raster = raster

    def rounds(self, checkpoint: Checkpoint, workers: int) -> Iterator[Sequence[Task]]:
        yield [{"area": [[s.start, s.stop] for s in area]} for area in checkpoint.missing]

    def perform(
        self, task: Task, checkpoint: Checkpoint, write: Write, cancel: CancelToken
    ) -> None:
        area = tuple(slice(*edges) for edges in task["area"])
        values = self._raster.data[area].compute(scheduler="synchronous")
        write(area, np.ascontiguousarray(values))

    def continuing(self, checkpoint: Checkpoint) -> AbstractContextManager[None]:
        return nullcontext()

    def outcome(self, checkpoint: Checkpoint) -> dict[str, Any]:
        return {}
