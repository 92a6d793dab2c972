"""A job as a Raster: lazy, streamable, in its input's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tincture.arrays import clipped
from napari_tincture.checkpoint import Checkpoint, Task
from napari_tincture.io.provenance import versions
from napari_tincture.placement import Placement
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.raster import Raster
from napari_tincture.runner import Write
from napari_tincture.tiling.job import Block, Item, TileJob
from napari_tincture.tiling.lazy import BlockJob, lazy, result_axes, to_axes
from napari_tincture.tiling.resume import (
    continued,
    frozen_plan,
    identity_of,
    kept_events,
    kept_seams,
    kept_values,
    run_facts,
    touching,
    value_tasks,
)
from napari_tincture.tiling.stream import stream


@dataclass(frozen=True)
class JobRunner:
    """Streams a job's blocks into the place of a raster's level 0."""

    job: TileJob
    with_channels: bool
    derive: Callable[[Block], Block] | None = None
    """From a block of the network's outputs (c, y, x) to one of the result, where they differ."""
    sources: tuple[Raster, ...] = ()
    """The images that the job was made from, as its provenance lists them."""

    def facts(self) -> dict[str, Any]:
        """What was found out so far; empty before the first block."""
        return self._own(facts_of(self.job)) if self.job.known else {}

    def _own(self, facts: dict[str, Any]) -> dict[str, Any]:
        """What concerns this result; of several from one job each has channels of its own."""
        channels = getattr(self.derive, "channels", None)
        if "seams" not in facts or channels is None:
            return facts
        seams = facts["seams"].items()
        own = {k: v[slice(*channels)] if isinstance(v, list) else v for k, v in seams}
        return {**facts, "seams": own}

    @property
    def maps(self) -> TileJob:
        """The job that runs the network."""
        return self.job

    def stream(
        self,
        write: Write,
        progress: Progress,
        cancel: CancelToken,
        checkpoint: Checkpoint | None = None,
    ) -> Mapping[str, Any] | None:
        """Write all blocks, or those still missing; tell what only the run could know."""
        job, wanted = self.job, None
        with continued(job, checkpoint):
            if checkpoint is not None:
                wanted = touching(job, checkpoint, self.with_channels)
            stream(job, self._put(write), progress, cancel, wanted)
            return self._own(facts_of(job, checkpoint))

    def rounds(self, checkpoint: Checkpoint, workers: int) -> Iterator[Sequence[Task]]:
        """First the values that the whole image is needed for, then the areas."""
        yield value_tasks(self.job, checkpoint)
        yield [{"area": [[s.start, s.stop] for s in area]} for area in checkpoint.missing]

    def perform(
        self, task: Task, checkpoint: Checkpoint, write: Write, cancel: CancelToken
    ) -> None:
        """Find a plane's values, or compute the tiles of an area."""
        if "values" in task:
            self.job.values_of(tuple(task["values"]), cancel)
            return
        area = tuple(slice(*edges) for edges in task["area"])
        one = Checkpoint(checkpoint.folder, [area], [area])
        groups = touching(self.job, one, self.with_channels)
        stream(self.job, self._put(clipped(write, area)), as_callback(None), cancel, groups)

    def continuing(self, checkpoint: Checkpoint) -> AbstractContextManager[None]:
        """Take over what earlier runs have decided and found."""
        return continued(self.job, checkpoint)

    def outcome(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """What only the run could tell."""
        return self._own(facts_of(self.job, checkpoint))

    def _put(self, write: Write) -> Callable[[Item, Block], None]:
        def put(item: Item, block: Block) -> None:
            result = block if self.derive is None else self.derive(block)
            index, values = placed(self.job, item, result, self.with_channels)
            write(index, values)

        return put

    def freeze(self) -> dict[str, Any]:
        """What decides about the numbers."""
        return frozen_plan(self.job)

    def identity(self) -> dict[str, Any]:
        """Model, inputs, what part of them, and what is made of the outputs."""
        derived = {} if self.derive is None else {"derived": repr(self.derive)}
        return {**identity_of(self.job), **derived}


def placed(
    job: BlockJob, item: Item, block: Block, with_channels: bool
) -> tuple[tuple[slice, ...], Block]:
    """Where a block (c, y, x) lies in the result, and the block with the result's axes."""
    plane, tile = item
    leading = job.inputs.leading
    y, x = job.grid.place(tile)
    where = {"y": y, "x": x, "c": slice(0, len(block))}
    where |= {axis: slice(i, i + 1) for axis, i in zip(leading, plane, strict=True)}
    index = tuple(where[axis] for axis in result_axes(leading, with_channels))
    return index, np.ascontiguousarray(to_axes(block, leading, with_channels))


def facts_of(job: TileJob, checkpoint: Checkpoint | None = None) -> dict[str, Any]:
    """What a run found out: context values per plane, and changes forced by memory."""
    known, place = kept_values(job, checkpoint), job.inputs.place_of
    return {
        "values": {",".join(map(str, place(p))): v.to_json() for p, v in known.items()},
        "events": kept_events(job, checkpoint),
        **(checkpoint.plan["run"] if checkpoint and checkpoint.plan else run_facts(job)),
        "tile": [job.grid.rows[0].core_size, job.grid.columns[0].core_size],
        **kept_seams(job, checkpoint),
        "exact": job.exact and all(_is_whole(v.how) for v in known.values()),
        "versions": versions(),
    }


def _is_whole(how: Mapping[str, Any]) -> bool:
    measured = how.get("statistics", "whole plane") == "whole plane"
    return measured and how.get("context", "lock-step") in ("lock-step", "passes")


def place_of(source: Raster, axes: str, job: BlockJob) -> Placement:
    """Placement of a result with `axes` made of `source`, moved to the job's region."""
    placement = source.placement
    offsets = [0] * source.ndim
    for axis, (start, _) in zip("yx", job.grid.bounds, strict=True):
        offsets[source.axes.index(axis)] = start
    placement = placement.crop(offsets)
    for position in reversed(range(source.ndim)):
        if source.axes[position] not in axes:
            placement = placement.drop(position)
    if "c" in axes and "c" not in source.axes:
        placement = placement.insert(axes.index("c"), "c", "pixel")
    return placement


def order_of(source: Raster, axes: str, rgb: bool) -> str:
    """The order of axes that the source's layer has, for the result's."""
    order = "".join(a for a in source.order if a in axes)
    if "c" in axes and "c" not in order:
        order = order + "c" if rgb else "c" + order
    return order


def as_raster(
    job: TileJob,
    source: Raster,
    name: str,
    provenance: Mapping[str, Any],
    sources: tuple[Raster, ...] = (),
) -> Raster:
    """Wrap a job as a lazy raster on its source's grid."""
    card = job.model.card
    rgb = card.rgb_output
    with_channels = rgb or len(card.outputs) > 1
    axes = result_axes(job.inputs.leading, with_channels)
    channels = len(card.outputs) if with_channels else None
    array = lazy(job, job.plan.dtype, channels, card.name)
    display: dict[str, Any] = {}
    if not rgb:
        limits = _display_limits(job)
        display["colours"] = [channel.colour for channel in card.outputs]
        display["limits"] = [limits] * len(card.outputs)
    return Raster(
        levels=(array,),
        axes=axes,
        placement=place_of(source, axes, job),
        name=name,
        rgb=rgb,
        channels=() if rgb else tuple(channel.name for channel in card.outputs),
        display=display,
        provenance=provenance,
        order=order_of(source, axes, rgb),
        runner=JobRunner(job, with_channels, sources=sources),
    )


def _display_limits(job: TileJob) -> list[float]:
    if job.plan.dtype.kind == "f":
        return [float(v) for v in job.model.card.output_range]
    return [0.0, float(np.iinfo(job.plan.dtype).max)]
