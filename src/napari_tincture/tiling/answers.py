"""One job, several results: each a part of its channels, computed together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tincture.arrays import spanning
from napari_tincture.models.outputs import Answer
from napari_tincture.raster import Raster
from napari_tincture.tiling.job import Block, TileJob
from napari_tincture.tiling.lazy import lazy, result_axes
from napari_tincture.tiling.result import JobRunner, order_of, place_of

if TYPE_CHECKING:
    from napari_tincture.grid import Grid
    from napari_tincture.tiling.inputs import Inputs, Plane


@dataclass(frozen=True, slots=True)
class Pick:
    """From a block of all answers (c, y, x) float32 to that of one, in its data type."""

    channels: tuple[int, int]
    dtype: np.dtype[Any]
    limits: tuple[float, float]

    def __call__(self, block: Block) -> Block:
        """Take the answer's channels."""
        return spanning(block[slice(*self.channels)], self.dtype, self.limits)


@dataclass(frozen=True)
class Picked:
    """The blocks of one answer; the network runs once for all of them."""

    job: TileJob
    pick: Pick

    @property
    def inputs(self) -> Inputs:
        """What the job reads."""
        return self.job.inputs

    @property
    def grid(self) -> Grid:
        """Where its blocks lie."""
        return self.job.grid

    def block(self, plane: Plane, index: tuple[int, int]) -> Block:
        """One block."""
        return self.pick(self.job.block(plane, index))


def as_answer(
    job: TileJob,
    answer: Answer,
    dtype: np.dtype[Any],
    source: Raster,
    name: str,
    recorded: tuple[Mapping[str, Any], tuple[Raster, ...]],
) -> Raster:
    """Wrap one answer of a job as a lazy raster on its source's grid.

    Parameters
    ----------
    job
        Gives all answers, in float32.
    answer
        Which of its channels, and how they are shown.
    dtype
        Of the raster.
    recorded
        Provenance and sources, as `tasks` write them down.
    """
    pick = Pick(answer.channels, dtype, answer.limits)
    count = len(answer.names)
    with_channels = answer.rgb or count > 1
    axes = result_axes(job.inputs.leading, with_channels)
    array = lazy(Picked(job, pick), dtype, count if with_channels else None, name)
    display: dict[str, Any] = {}
    if not answer.rgb:
        integer = dtype.kind != "f"
        limits = [0.0, float(np.iinfo(dtype).max)] if integer else [*map(float, answer.limits)]
        colours = answer.colours if len(answer.colours) == count else answer.colours[:1] * count
        display = {"colours": list(colours), "limits": [limits] * count}
    return Raster(
        levels=(array,),
        axes=axes,
        placement=place_of(source, axes, job),
        name=name,
        rgb=answer.rgb,
        channels=() if answer.rgb else answer.names,
        display=display,
        provenance=recorded[0],
        order=order_of(source, axes, answer.rgb),
        runner=JobRunner(job, with_channels, pick, recorded[1]),
    )
