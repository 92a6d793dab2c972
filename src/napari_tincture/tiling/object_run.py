"""Running an object job whole: all tiles, then who belongs together, then final numbers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.arrays import clipped
from napari_tincture.checkpoint import Checkpoint, Task
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Index, Raster
from napari_tincture.runner import Write
from napari_tincture.tiling.inputs import Plane
from napari_tincture.tiling.job import TileJob
from napari_tincture.tiling.lazy import result_axes
from napari_tincture.tiling.object_tiles import Names, Place, TileFolder, TileObjects
from napari_tincture.tiling.objects import ObjectJob
from napari_tincture.tiling.result import facts_of, placed
from napari_tincture.tiling.resume import continued, frozen_plan, identity_of, touching, value_tasks

SIDE = 16
"""Tiles along y and x that one of several processes segments, at most: around them it computes
one more."""


class ObjectRunner:
    """Streams an object job with final numbers: 1, 2, … by first pixel, whatever the tiling."""

    def __init__(self, job: ObjectJob, sources: tuple[Raster, ...] = ()) -> None:
        self.job, self.sources = job, sources

    @property
    def maps(self) -> TileJob:
        """The job that runs the network."""
        return self.job.maps

    def facts(self) -> dict[str, Any]:
        """What was found out so far, as `JobRunner.facts`."""
        return facts_of(self.maps) if self.maps.known else {}

    def stream(
        self,
        write: Write,
        progress: Progress,
        cancel: CancelToken,
        checkpoint: Checkpoint | None = None,
    ) -> Mapping[str, Any] | None:
        """Segment all tiles, match them, then write them renumbered; one plane after the other."""
        with ExitStack() as stack:
            if checkpoint is None:
                name = stack.enter_context(tempfile.TemporaryDirectory(prefix="tincture-objects-"))
                areas = list(self._areas())
                checkpoint = Checkpoint(Path(name), areas, areas)
            else:
                stack.enter_context(continued(self.maps, checkpoint))
            done, total = self._finished(checkpoint), len(self.maps)
            progress(done, total)
            for tasks in self.rounds(checkpoint):
                for task in tasks:
                    cancel.check()
                    self.perform(task, checkpoint, write, cancel)
                    if "segment" in task:
                        done += len(task["segment"])
                        progress(done, total)
            return self.outcome(checkpoint)

    def continuing(self, checkpoint: Checkpoint) -> AbstractContextManager[None]:
        """Take over what earlier runs have decided and found."""
        return continued(self.maps, checkpoint)

    def freeze(self) -> dict[str, Any]:
        """What decides about the numbers."""
        return frozen_plan(self.maps)

    def identity(self) -> dict[str, Any]:
        """What the maps are of, and how objects are found in them."""
        return {**identity_of(self.maps), "objects": self.job.how}

    def rounds(self, checkpoint: Checkpoint, workers: int = 1) -> Iterator[Sequence[Task]]:
        """What is to do: for each plane the tiles, then what is made of all of them."""
        if workers > 1:
            yield value_tasks(self.maps, checkpoint)
        missing = {self._plane_of(area) for area in checkpoint.missing}
        for plane in self.job.inputs.planes:
            if plane not in missing:
                continue
            tiles = self._tiles(checkpoint, plane)
            groups = self._groups(plane, workers)
            left = ([index for index in group if index not in tiles] for group in groups)
            yield [{"plane": list(plane), "segment": group} for group in left if group]
            self._name(checkpoint, plane)
            areas = [area for area in checkpoint.missing if self._plane_of(area) == plane]
            yield [
                {"plane": list(plane), "area": [[s.start, s.stop] for s in area]} for area in areas
            ]
            tiles.remove()

    def perform(
        self, task: Task, checkpoint: Checkpoint, write: Write, cancel: CancelToken
    ) -> None:
        """Segment tiles, or write an area of final labels."""
        if "values" in task:
            self.maps.values_of(tuple(task["values"]), cancel)
            return
        plane = tuple(task["plane"])
        tiles = self._tiles(checkpoint, plane)
        if "segment" in task:
            for index in map(tuple, task["segment"]):
                cancel.check()
                tile = self.job.grid[index]
                tiles.save(index, TileObjects.of(tile, self.job.window_labels(plane, tile)))
            return
        area = tuple(slice(*edges) for edges in task["area"])
        self._write(checkpoint, plane, area, write)

    def outcome(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """What only the run could tell."""
        found = [checkpoint.recall(_facts_name(plane)) for plane in self.job.inputs.planes]
        objects = sum(plane["objects"] for plane in found)
        largest = max(plane["largest"] for plane in found)
        return {
            **facts_of(self.maps, checkpoint),
            "objects": objects,
            **too_large(largest, self.job.halo),
        }

    def _write(self, checkpoint: Checkpoint, plane: Plane, area: Index, write: Write) -> None:
        """Write the part of each tile that lies in an area, with final numbers."""
        names = _load(checkpoint.folder / f"{_names_name(plane)}.npz")
        tiles = self._tiles(checkpoint, plane)
        one = Checkpoint(checkpoint.folder, [area], [area])
        (group,) = touching(self.job, one, False)
        for item in group:
            labels = names.of(tiles.core(item[1].index)).astype(self.job.dtype)
            clipped(write, area)(*placed(self.job, item, labels[None], False))

    def _name(self, checkpoint: Checkpoint, plane: Plane) -> None:
        """Give the objects of a plane their final numbers, after those of the planes before."""
        before = self.job.inputs.planes[: self.job.inputs.planes.index(plane)]
        offset = sum(checkpoint.recall(_facts_name(p))["objects"] for p in before)
        names = self._tiles(checkpoint, plane).names(offset)
        file = checkpoint.folder / f"{_names_name(plane)}.npz"
        np.savez(file, provisional=names.provisional, final=names.final)
        facts = {"objects": names.count, "largest": names.largest}
        checkpoint.remember(_facts_name(plane), facts)

    def _groups(self, plane: Plane, workers: int) -> Iterator[list[Place]]:
        """Tiles one by one in an order that needs few maps at once; or blocks of them."""
        if workers == 1:
            yield from ([index] for index in self.job.walk())
            return
        rows, columns = self.job.grid.counts
        side = max(min(SIDE, int((rows * columns / (2 * workers)) ** 0.5)), 1)
        for top in range(0, rows, side):
            for left in range(0, columns, side):
                yield [
                    (i, j)
                    for i in range(top, min(top + side, rows))
                    for j in range(left, min(left + side, columns))
                ]

    def _areas(self) -> Iterator[Index]:
        dummy = np.empty((1, 0, 0), self.job.dtype)
        for plane in self.job.inputs.planes:
            for tile in self.job.grid:
                yield placed(self.job, (plane, tile), dummy, False)[0]

    def _plane_of(self, area: Index) -> Plane:
        axes = result_axes(self.job.inputs.leading, False)
        return tuple(area[axes.index(axis)].start for axis in self.job.inputs.leading)

    def _finished(self, checkpoint: Checkpoint) -> int:
        """Tiles that an earlier run has segmented."""
        missing = {self._plane_of(area) for area in checkpoint.missing}
        count = (len(self.job.inputs.planes) - len(missing)) * len(self.job.grid)
        for plane in missing:
            tiles = self._tiles(checkpoint, plane)
            count += sum(tile.index in tiles for tile in self.job.grid)
        return count

    def _tiles(self, checkpoint: Checkpoint, plane: Plane) -> TileFolder:
        folder = checkpoint.folder / "-".join(("tiles", *map(str, plane)))
        return TileFolder(folder, self.job.grid)


def too_large(largest: int, halo: int) -> dict[str, Any]:
    """Warn of objects that are larger than what tiles see around their cores."""
    if largest <= halo:
        return {}
    return {
        "warning": f"The largest object is {largest} pixels across, more than the halo of {halo} "
        "pixels: such objects may be cut or joined differently at tile borders."
    }


def _load(path: Path) -> Names:
    with np.load(path, allow_pickle=False) as arrays:
        return Names(arrays["provisional"], arrays["final"], 0, 0)


def _facts_name(plane: Plane) -> str:
    return "-".join(("objects", *map(str, plane)))


def _names_name(plane: Plane) -> str:
    return "-".join(("names", *map(str, plane)))
