"""The mean of a network's results over several ways to lay the image, as one job.

Every orientation is a job of its own, with its own values of the whole image. A block is computed
in each, from the window around that part of the canvas which it is made of, and laid back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.grid import Grid, Tile
from napari_tincture.models import Model
from napari_tincture.tiling.assemble import assembled
from napari_tincture.tiling.inputs import Inputs, Plane
from napari_tincture.tiling.job import Block, Item, Plan, TileJob
from napari_tincture.tiling.orient import Orientation, OrientedInputs
from napari_tincture.tiling.whole import PlaneValues


class AveragedJob(TileJob):
    """A tile job whose blocks are means over orientations.

    Parameters
    ----------
    inputs, model, plan, known
        As of `TileJob`.
    orientations
        Those beside the image's own.

    Raises
    ------
    InputError
        If `known` was found without these orientations, and the network depends on it.
    """

    def __init__(
        self,
        inputs: Inputs,
        model: Model,
        plan: Plan,
        known: Mapping[Plane, PlaneValues] | None = None,
        *,
        orientations: Sequence[Orientation],
    ) -> None:
        super().__init__(inputs, model, plan, dict(known or {}))
        self.orientations = tuple(orientations)
        self.others = tuple(self._laid(orientation) for orientation in orientations)
        self.given = {plane: self._with_others(v) for plane, v in self.given.items()}
        self._known = dict(self.given)

    def twin(self) -> AveragedJob:
        """The same job, which shares nothing that changes."""
        return AveragedJob(
            self.inputs, self.model, self.plan, self.known, orientations=self.orientations
        )

    def compute(
        self, loaded: Sequence[tuple[Item, npt.NDArray[Any]]], keep: bool = True
    ) -> list[tuple[Item, Block]]:
        """Compute the mean blocks of tiles whose windows were read, and cache them if `keep`."""
        with self._lock:
            own = super().compute(loaded, keep=False)
            items = [item for item, _ in own]
            totals = [block.astype(np.float64) for _, block in own]
            for number in range(len(self.others)):
                for total, block in zip(totals, self._seen_by(number, items), strict=True):
                    total += block
            count = 1 + len(self.others)
            found = [
                (item, (total / count).astype(self.plan.dtype))
                for item, total in zip(items, totals, strict=True)
            ]
        if keep:
            for item, block in found:
                self.keep(item, block)
        return found

    def _laid(self, orientation: Orientation) -> TileJob:
        region = self.plan.region
        seen = None if region is None else orientation.seen(region, self.inputs.shape)
        inputs = OrientedInputs.of(self.inputs, orientation)
        return TileJob(
            inputs, self.model, replace(self.plan, region=seen), engine=lambda: self.engine
        )

    def _seen_by(self, number: int, items: Sequence[Item]) -> list[npt.NDArray[np.float32]]:
        """The blocks of tiles (c, y, x), of one orientation, laid back."""
        job, orientation, shape = self.others[number], self.orientations[number], self.inputs.shape
        bounds = [(tile.y.kept, tile.x.kept) for _, tile in items]
        seen = [
            (plane, _around(job, orientation.seen(part, shape)))
            for (plane, _), part in zip(items, bounds, strict=True)
        ]
        self._lend(number, {plane for plane, _ in items})
        if job.blended:
            blocks = [assembled(job, job.grid, p, t.y.kept, t.x.kept) for p, t in seen]
        else:
            loaded = [(item, job.read(item)) for item in seen]
            blocks = [block for _, block in job.compute(loaded, keep=False)]
        self._take_memory_of(job)
        return [
            orientation.back(block, part, shape) for block, part in zip(blocks, bounds, strict=True)
        ]

    def _lend(self, number: int, planes: set[Plane]) -> None:
        """Have an orientation's job go by this one's values and memory."""
        job = self.others[number]
        job.portions.take_over(self.portions.to_json())
        for plane in planes:
            values = self.values_of(plane).others[number]
            if job.known.get(plane) is not values:
                job.adopt(plane, values)

    def _take_memory_of(self, job: TileJob) -> None:
        memory = job.portions.to_json()
        if memory != self.portions.to_json():
            self.portions.take_over(memory)
            self.portions.listener.shrunk(memory)

    def _with_others(self, values: PlaneValues) -> PlaneValues:
        if len(values.others) == len(self.others):
            return values
        if values.shares or values.held:
            raise InputError(
                "The given context was found without this augment=, and the network takes other "
                "values from every orientation of the image. Use context='auto', or a result that "
                "was made with the same augment=."
            )
        return replace(values, others=(values,) * len(self.others))


def _around(job: TileJob, part: tuple[tuple[int, int], tuple[int, int]]) -> Tile:
    """One tile that keeps a part of a job's plane, wherever the job's own tiles lie."""
    side = max(job.inputs.shape) + job.reach.geometry.stride
    return Grid.cut(job.inputs.shape, (side, side), job.reach.geometry, part)[0, 0]
