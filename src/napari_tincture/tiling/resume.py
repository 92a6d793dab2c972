"""Continuing a job that another process began, so that nobody can tell from the numbers."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch

from napari_tincture.arrays import Index
from napari_tincture.checkpoint import Checkpoint, Task
from napari_tincture.device import describe_device
from napari_tincture.grid import Span
from napari_tincture.io.identity import signature
from napari_tincture.tiling.inputs import Plane
from napari_tincture.tiling.job import Item, TileJob
from napari_tincture.tiling.lazy import BlockJob, result_axes
from napari_tincture.tiling.listener import Listener
from napari_tincture.tiling.whole import PlaneValues
from napari_tincture.torch_settings import thread_count


def frozen_plan(job: TileJob) -> dict[str, Any]:
    """Everything that decides about a job's numbers, JSON-serialisable.

    Under ``free`` what another run may choose otherwise, but has to take over: the batch, which
    depends on memory, and the number of threads, which decides about the order of sums.
    """
    geometry, facts = job.geometry, run_facts(job)
    return {
        "tile": [job.grid.rows[0].core_size, job.grid.columns[0].core_size],
        "halo": geometry.halo,
        "stride": geometry.stride,
        "border": geometry.border,
        "blended": job.blended,
        "context": _hash(_values_json(job)) if job.given else job.plan.context,
        "device": facts["device"],
        "precision": facts["precision"],
        "free": {"batch": job.portions.batch, "run": facts},
    }


def identity_of(job: TileJob) -> dict[str, Any]:
    """What a job computes: the model, where its inputs come from, and which part of them."""
    inputs = job.inputs
    rasters = {id(lane.raster): lane.raster for lane in inputs.lanes}
    numbers = {key: number for number, key in enumerate(rasters)}
    return {
        "model": job.model.card.name,
        "weights": job.model.fingerprint,
        "images": [signature(raster) for raster in rasters.values()],
        "channels": [[numbers[id(lane.raster)], dict(lane.at)] for lane in inputs.lanes],
        "planes": [inputs.leading, list(inputs.origin)],
        "nonfinite": inputs.nonfinite,
        "on_read_error": inputs.reader.on_error,
        "region": job.plan.region,
        "dtype": job.plan.dtype.name,
        **({"orientations": [repr(o) for o in job.orientations]} if job.others else {}),
    }


class _Keeper(Listener):
    """Keeps what a job finds out."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def settled(self, plane: Plane, values: PlaneValues) -> None:
        self._checkpoint.remember(_name(plane), values.to_json())

    def shrunk(self, memory: dict[str, Any]) -> None:
        self._checkpoint.remember("memory", memory)

    def left_out(self, event: str) -> None:
        # Several processes may leave out the same place, which is one event.
        self._checkpoint.remember(f"event-{_hash(event)}", event)


@contextmanager
def continued(job: TileJob, checkpoint: Checkpoint | None) -> Iterator[None]:
    """Run a job as an earlier one that left a checkpoint: its values, its batch, its threads.

    What this run finds is kept there as soon as it is known, before any number depends on it.
    """
    if checkpoint is None:
        yield
        return
    threads = checkpoint.plan["run"]["threads"]
    begin = {"batch": checkpoint.plan["batch"], "halvings": 0, "events": []}
    memory = checkpoint.recall("memory") or begin
    new = [plane for plane in job.known if checkpoint.recall(_name(plane)) is None]
    known = kept_values(job, checkpoint)
    same = (
        memory == job.portions.to_json()
        and threads == torch.get_num_threads()
        and job.portions.batch == 1
    )
    if not same or len(known) > len(new):
        job.take_over(memory, known)
    keeper = _Keeper(checkpoint)
    for plane in new:
        keeper.settled(plane, known[plane])
    _tell(job, keeper)
    try:
        with thread_count(threads):
            yield
    finally:
        _tell(job, Listener())
        figures = job.blending.seams.to_json()
        with suppress(OSError):  # what filled the disk is told already
            if figures:
                checkpoint.remember(f"seams-{_hash(sorted(figures))}", figures)


def _tell(job: TileJob, listener: Listener) -> None:
    job.listener = job.portions.listener = job.inputs.reader.listener = listener


def run_facts(job: TileJob) -> dict[str, Any]:
    """Where and how a job's network runs, for its provenance."""
    device = job.engine.device
    return {
        "device": "cpu" if device.type == "cpu" else describe_device(device),
        "precision": job.engine.precision,
        "threads": torch.get_num_threads(),
    }


def kept_values(job: TileJob, checkpoint: Checkpoint | None) -> dict[Plane, PlaneValues]:
    """Values that this run has found, or an earlier one, whose word holds."""
    known = job.known
    for plane in job.inputs.planes if checkpoint is not None else ():
        values = checkpoint.recall(_name(plane)) if checkpoint is not None else None
        if values is not None:
            known[plane] = PlaneValues.from_json(values)
    return known


def kept_events(job: TileJob, checkpoint: Checkpoint | None) -> list[str]:
    """What memory forced, and what could not be read, in this run and those before."""
    if checkpoint is None:
        return [*job.portions.events, *sorted(job.inputs.reader.events)]
    memory = checkpoint.recall("memory") or {"events": []}
    left_out = {*job.inputs.reader.events, *checkpoint.recall_all("event-")}
    return [*memory["events"], *sorted(left_out)]


def kept_seams(job: TileJob, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """How far the windows of a blended job lie apart, in this run and those before."""
    others = [] if checkpoint is None else checkpoint.recall_all("seams-")
    if not job.blended or not (others or job.blending.seams):
        return {}
    return {"seams": job.blending.seams.summary(others, job.geometry.halo)}


def touching(job: BlockJob, checkpoint: Checkpoint, with_channels: bool) -> list[list[Item]]:
    """List the tiles that touch what a checkpoint misses of a job's result.

    Every tile belongs to the first area that it touches; where one tile of an area is wanted all
    are, so that batches are always the same.
    """
    axes = result_axes(job.inputs.leading, with_channels)
    bounds = job.grid.bounds
    rows = _starts(job.grid.rows, bounds[0][0])
    columns = _starts(job.grid.columns, bounds[1][0])
    missing = {_key(area) for area in checkpoint.missing}
    seen: dict[tuple[Plane, int, int], int] = {}
    groups: list[list[Item]] = []
    wanted: set[int] = set()
    for area in checkpoint.areas:
        place = dict(zip(axes, area, strict=True))
        plane = tuple(place[axis].start for axis in job.inputs.leading)
        groups.append([])
        for i in _within(rows, place["y"]):
            for j in _within(columns, place["x"]):
                if (plane, i, j) not in seen:
                    seen[plane, i, j] = len(groups) - 1
                    groups[-1].append((plane, job.grid[i, j]))
                if _key(area) in missing:
                    wanted.add(seen[plane, i, j])
    return [groups[number] for number in sorted(wanted)]


def value_tasks(job: TileJob, checkpoint: Checkpoint) -> list[Task]:
    """Find the values of the planes that need some and have none."""
    missing = [p for p in job.inputs.planes if checkpoint.recall(_name(p)) is None]
    return [{"values": list(plane)} for plane in missing if plane not in job.given]


def _key(area: Index) -> tuple[int, ...]:
    return tuple(s.start for s in area)


def _starts(spans: Sequence[Span], origin: int) -> list[int]:
    return [span.kept[0] - origin for span in spans]


def _within(starts: list[int], part: slice) -> range:
    return range(bisect_right(starts, part.start) - 1, bisect_right(starts, part.stop - 1))


def _name(plane: Plane) -> str:
    return "-".join(("values", *map(str, plane)))


def _values_json(job: TileJob) -> Any:
    return {str(plane): values.to_json() for plane, values in job.given.items()}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
