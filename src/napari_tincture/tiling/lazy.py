"""A job as a dask array whose chunks are the job's blocks."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import TinctureError

if TYPE_CHECKING:
    import dask.array as da

    from napari_tincture.grid import Grid
    from napari_tincture.tiling.inputs import Inputs, Plane


class BlockJob(Protocol):
    """A job whose blocks (c, y, x) can be asked for: of a network's outputs, or of objects."""

    @property
    def inputs(self) -> Inputs:
        """What it reads."""

    @property
    def grid(self) -> Grid:
        """Where its blocks lie."""

    def block(self, plane: Plane, index: tuple[int, int]) -> npt.NDArray[Any]:
        """One block."""


class BlockSource:
    """What the graph holds in place of the job: weights never enter it."""

    def __init__(self, job: BlockJob, with_channels: bool) -> None:
        self._job = job
        self._with_channels = with_channels

    def __call__(self, block_id: Sequence[int]) -> npt.NDArray[Any]:
        """One block, with the axes of the array."""
        leading = self._job.inputs.leading
        axes = result_axes(leading, self._with_channels)
        plane = tuple(block_id[axes.index(axis)] for axis in leading)
        block = self._job.block(plane, (block_id[-2], block_id[-1]))
        return to_axes(block, leading, self._with_channels)

    def __reduce__(self) -> Any:
        raise TinctureError(
            "A lazy result belongs to the process that made it and cannot be sent to another: its "
            "network would travel with every block. Save it, on a cluster with "
            "save(path, client=client), or compute with dask's threaded scheduler."
        )


def result_axes(leading: str, with_channels: bool) -> str:
    """Axes of a job's result, in canonical order."""
    return "".join(a for a in "tczyx" if a in leading + ("c" if with_channels else "") + "yx")


def to_axes(block: npt.NDArray[Any], leading: str, with_channels: bool) -> npt.NDArray[Any]:
    """Give a block (c, y, x) the axes of the result."""
    if not with_channels:
        return np.expand_dims(block[0], tuple(range(len(leading))))
    axes = result_axes(leading, with_channels)
    return np.expand_dims(block, tuple(axes.index(axis) for axis in leading))


def lazy(job: BlockJob, dtype: np.dtype[Any], channels: int | None, name: str) -> da.Array:
    """Make a dask array of a job's result; nothing is computed.

    Parameters
    ----------
    job
        The job; it lives as long as the array.
    dtype
        Of its blocks.
    channels
        Length of the channel axis; None for a result without one.
    name
        Begins the array's name in the graph.
    """
    import dask.array as da

    axes = result_axes(job.inputs.leading, channels is not None)
    rows, columns = job.grid.chunks
    sizes = {"y": rows, "x": columns, "c": (channels or 1,)}
    for axis, count in zip(job.inputs.leading, job.inputs.counts, strict=True):
        sizes[axis] = (1,) * count
    return da.map_blocks(  # type: ignore[no-any-return]
        BlockSource(job, channels is not None),
        chunks=tuple(sizes[axis] for axis in axes),
        dtype=dtype,
        meta=np.empty((0,) * len(axes), dtype),
        name=f"{name}-{uuid.uuid4().hex}",
    )
