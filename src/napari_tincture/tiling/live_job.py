"""From a lazy result to what a live layer needs of it: a job by tiles, its layout, its cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import numpy.typing as npt

from napari_tincture.arrays import in_this_thread
from napari_tincture.errors import InputError
from napari_tincture.io.provenance import plain, software
from napari_tincture.io.tile_cache import TileCache, cache_folder
from napari_tincture.raster import Raster
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.tiling.inputs import Plane
from napari_tincture.tiling.job import CACHE_BYTES, TileJob
from napari_tincture.tiling.live_layout import Block, LiveLayout, TileIndex
from napari_tincture.tiling.objects import ObjectJob
from napari_tincture.tiling.resume import frozen_plan, identity_of


@dataclass(frozen=True, slots=True)
class LiveJob:
    """A result by tiles.

    Attributes
    ----------
    job
        Gives the blocks.
    maps
        The job that runs the network; None if nobody knows.
    layout
        What the result is like.
    """

    job: Any
    maps: TileJob | None
    layout: LiveLayout


def live_job(raster: Raster) -> LiveJob:
    """Take a lazy result apart.

    A job whose network takes values from the whole image gets a twin: live tiles may begin with
    provisional ones, which nobody else must be given.

    Raises
    ------
    InputError
        If the image is not computed, but read.
    """
    runner = raster.runner
    maps = getattr(runner, "maps", None)
    if maps is None:
        return _by_chunks(raster)
    job, derive = getattr(runner, "job", maps), getattr(runner, "derive", None)
    if maps.needs_context:
        maps = maps.twin()
        job = ObjectJob(maps, job.segment, job.halo) if isinstance(job, ObjectJob) else maps
    if derive is not None:
        job = DerivedJob(maps, derive)
    rows, columns = job.grid.chunks
    layout = LiveLayout(
        leading=job.inputs.leading, counts=job.inputs.counts, rows=rows, columns=columns,
        channels=raster.sizes.get("c", 1), dtype=raster.dtype, kind=raster.kind, rgb=raster.rgb,
    )  # fmt: skip
    return LiveJob(job, maps, layout)


def remember(live: LiveJob) -> None:
    """Give the jobs caches that outlive the session, unless there is to be no cache on disk."""
    root, maps = cache_folder(), live.maps
    # What could not be read today may be read tomorrow.
    if root is None or maps is None or maps.inputs.reader.on_error != "stop":
        return
    identity = _identity(maps)
    _remember(maps, root, identity, CACHE_BYTES)
    if live.job is not maps:
        own = {**identity, "made of them": _made_how(live.job)}
        _remember(live.job, root, own, CACHE_BYTES // 4)


def _remember(job: Any, root: Path, identity: Mapping[str, Any], limit: int) -> None:
    if not isinstance(job.cache, TileCache):
        job.cache = TileCache(root, identity, limit)
        job.cache.open()


def _made_how(job: ObjectJob | DerivedJob) -> Any:
    return repr(job.derive) if isinstance(job, DerivedJob) else job.how


class DerivedJob:
    """Blocks that are made of those of another job, pixel by pixel.

    Parameters
    ----------
    maps
        The other job.
    derive
        From its blocks (c, y, x) to this one's.
    """

    def __init__(self, maps: TileJob, derive: Callable[[Block], Block]) -> None:
        self.inputs, self.grid = maps.inputs, maps.grid
        self.cache = BlockCache(CACHE_BYTES // 4)
        self.derive = derive
        self._maps = maps

    def block(self, plane: Plane, index: TileIndex) -> Block:
        """One block."""
        found: Block | None = self.cache.get((plane, index))
        if found is None:
            found = self.derive(self._maps.block(plane, index))
            self.cache.put((plane, index), found)
        return found


def _identity(maps: TileJob) -> dict[str, Any]:
    """Everything that the numbers of a job depend on."""
    plan = frozen_plan(maps)
    free = plan.pop("free")
    return dict(
        plain(
            {
                "software": software(), **identity_of(maps), **plan, **free["run"],
                "tiles": [[s.core for s in along] for along in (maps.grid.rows, maps.grid.columns)],
            }
        )
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Axes:
    """What a job reads, as far as a live layer asks."""

    leading: str
    counts: tuple[int, ...]

    @property
    def planes(self) -> tuple[Plane, ...]:
        return tuple(product(*map(range, self.counts)))


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Where chunks lie, as far as a live layer asks."""

    chunks: tuple[tuple[int, ...], tuple[int, ...]]

    def __getitem__(self, index: TileIndex) -> TileIndex:
        return index

    def place(self, index: TileIndex) -> tuple[slice, slice]:
        ends = [list(accumulate(sizes)) for sizes in self.chunks]
        y, x = (
            slice(end[i] - sizes[i], end[i])
            for end, i, sizes in zip(ends, index, self.chunks, strict=True)
        )
        return y, x


class ChunkJob:
    """The chunks of a dask array as blocks (c, y, x)."""

    def __init__(self, raster: Raster) -> None:
        sizes = raster.sizes
        leading = "".join(axis for axis in raster.axes if axis in "tz")
        self.inputs = _Axes(leading, tuple(sizes[axis] for axis in leading))
        rows, columns = raster.data.chunks[-2:]
        self.grid = _Chunks((rows, columns))
        self.cache = BlockCache(CACHE_BYTES)
        self._raster = raster

    def block(self, plane: Plane, index: TileIndex) -> npt.NDArray[Any]:
        """One chunk, with all its channels."""
        found = self.cache.get((plane, index))
        if found is None:
            y, x = self.grid.place(index)
            place = dict(zip(self.inputs.leading, plane, strict=True)) | {"y": y, "x": x}
            at = tuple(place.get(axis, slice(None)) for axis in self._raster.axes)
            found = in_this_thread(self._raster.data[at])
            found = found if "c" in self._raster.axes else found[None]
            self.cache.put((plane, index), found)
        return found


def _by_chunks(raster: Raster) -> LiveJob:
    if raster.source is not None or raster.memory is not None:
        raise InputError(
            f"Image {raster.name!r} is not computed but read; add it without live=True."
        )
    job = ChunkJob(raster)
    layout = LiveLayout(
        leading=job.inputs.leading, counts=job.inputs.counts, rows=job.grid.chunks[0],
        columns=job.grid.chunks[1], channels=raster.sizes.get("c", 1), dtype=raster.dtype,
        kind=raster.kind, rgb=raster.rgb,
    )  # fmt: skip
    return LiveJob(job, None, layout)
