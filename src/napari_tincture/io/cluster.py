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
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.arrays import in_this_thread
from napari_tincture.checkpoint import Checkpoint, Task
from napari_tincture.device import tune_allocator
from napari_tincture.durable import flush_file
from napari_tincture.errors import Cancelled, DeviceError, OutputError
from napari_tincture.io.cluster_queue import TaskQueue
from napari_tincture.io.identity import differences
from napari_tincture.io.layout import Key, Layout
from napari_tincture.io.output import writing
from napari_tincture.io.pyramid_store import PyramidStore, Record
from napari_tincture.io.shard_writer import ShardWriter
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.runner import Divisible, Write


def freeze_on(client: Any, raster: Raster) -> dict[str, Any]:
    """What decides about the numbers on the workers: their device and number of threads."""
    import cloudpickle

    remote = client.scatter(cloudpickle.dumps(raster))
    workers = list(client.scheduler_info(n_workers=-1)["workers"])
    asked = [client.submit(_freeze, remote, workers=[w], pure=False) for w in workers]
    plans: dict[str, dict[str, Any]] = dict(zip(workers, client.gather(asked), strict=True))
    first, plan = next(iter(plans.items()))
    for worker, other in plans.items():
        if changes := differences(plan, other):
            raise DeviceError(
                f"The workers of the cluster are not alike, so that results would differ: "
                f"{changes[0]} from {first} to {worker}. Give a client with workers of one kind."
            )
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
    data = cloudpickle.dumps(work)
    digest = hashlib.sha256(data).hexdigest()
    file = checkpoint.folder / f"work-{uuid.uuid4().hex}.pickle"
    file.write_bytes(data)
    flush_file(file)
    call = (str(file), digest)
    queue = TaskQueue(client, call, cancel)
    try:
        _run(runner.rounds(checkpoint, queue.workers), queue, writer, checkpoint, progress)
    finally:
        file.unlink(missing_ok=True)  # who still works on it, and nobody waits for, writes no more
    return runner.outcome(checkpoint)


def _run(
    rounds: Iterator[Sequence[Task]],
    queue: TaskQueue,
    writer: ShardWriter,
    checkpoint: Checkpoint,
    progress: Progress,
) -> None:
    done, total = len(checkpoint.areas) - len(checkpoint.missing), len(checkpoint.areas)
    progress(done, total)
    for tasks in rounds:
        for task in tasks:
            queue.put(_perform, task)
        for task, records in queue:
            for key, record in records:
                above = writer.add(tuple(key), record)
                if above is not None:
                    queue.put(_build, {"key": above, "below": writer.below(above)})
            if "area" in task:
                done += 1
                progress(min(done, total), total)


@dataclass
class _Work:
    """What a worker needs; opened by each once."""

    raster: Raster
    store: PyramidStore
    checkpoint: Checkpoint

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
_COMPUTING = threading.Lock()
"""Threads of a worker take turns: torch's settings are those of the whole process."""


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
            tune_allocator()
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
    writer = ShardWriter(work.store, done, scratch, partial(_wanted, file), rise=False)
    with _COMPUTING, runner.continuing(work.checkpoint):
        runner.perform(task, work.checkpoint, writer.write, CancelToken())
    return list(done.items())


def _build(file: str, digest: str, task: Task) -> list[tuple[Key, Record]]:
    key, store = tuple(task["key"]), _opened(file, digest).store
    for child, record in task["below"]:
        if not store.holds(tuple(child), record):
            raise OutputError(
                f"Shard {child} in {store.folder} is not what was written: the workers of the "
                "cluster do not see the same files, or another program changes them."
            )
    with _wanted(file):
        return [(key, store.build(key))]


@contextmanager
def _wanted(file: str) -> Iterator[None]:
    """Write only while the run goes on, and say in a user's words what fails."""
    if not Path(file).exists():
        raise Cancelled("The run has ended.")
    with writing(Path(file).parents[1]):
        yield


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
        values = in_this_thread(self._raster.data[area])
        write(area, np.ascontiguousarray(values))

    def continuing(self, checkpoint: Checkpoint) -> AbstractContextManager[None]:
        return nullcontext()

    def outcome(self, checkpoint: Checkpoint) -> dict[str, Any]:
        return {}
