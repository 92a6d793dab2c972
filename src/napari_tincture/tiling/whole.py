"""Finding the values of a plane that depend on the whole of it: when, how, and how well."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from napari_tincture.device import memory_budget, release_memory
from napari_tincture.errors import InputError, TinctureWarning
from napari_tincture.grid import Tile
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.out_of_memory import OutOfMemory
from napari_tincture.progress import CancelToken
from napari_tincture.tiling.context import Found, Values, collect_by_passes, lock_step
from napari_tincture.tiling.held import Held, has_fixed_parts, held_of
from napari_tincture.tiling.inputs import Inputs, Plane
from napari_tincture.tiling.reductions import Extremum, Moments, Share
from napari_tincture.tiling.trace import memory_of_forward
from napari_tincture.tiling.unlike import warn_if_unlike

if TYPE_CHECKING:
    from napari_tincture.tiling.job import Deliver, TileJob

ContextMode = Literal["auto", "exact", "sampled", "tile"]
HALVES_MAY_DIFFER = 0.02
"""Sampling ends when two disjoint halves of the tiles agree to this many standard deviations."""
MEMORY_SHARE = 0.5
"""Part of the free memory that suspended tiles may take."""
_STATS_VALUES = 2**27


@dataclass(frozen=True, slots=True)
class PlaneValues:
    """What a plane's tiles take from the whole plane.

    Attributes
    ----------
    stats
        Normalisation statistics, (c, 2) float64.
    shares
        One value per reduction over the image, in order; empty where the network makes none or
        each tile uses its own.
    held
        (1, k) float32 for each part of the network that works at one size only, in order.
    how
        How they were found; JSON-serialisable.
    others
        The same for each of the job's other orientations.
    """

    stats: npt.NDArray[np.float64]
    shares: Values = ()
    held: Held = ()
    how: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[PlaneValues, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, for provenance and for other jobs on the same image."""
        more = {"others": [other.to_json() for other in self.others]} if self.others else {}
        return {
            "stats": self.stats.tolist(),
            "shares": [_share_to_json(s) for s in self.shares],
            "held": list(_encode({str(i): v for i, v in enumerate(self.held)}).values()),
            "how": dict(self.how),
            **more,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlaneValues:
        """Rebuild from `to_json`."""
        shares = tuple(_share_from_json(s) for s in data["shares"])
        held = tuple(_decode(text).float() for text in data.get("held", ()))
        others = tuple(cls.from_json(other) for other in data.get("others", ()))
        stats = np.asarray(data["stats"], np.float64)
        return cls(stats, shares, held, dict(data["how"]), others)


def check_mode(mode: str) -> ContextMode:
    """Validate the `context=` argument of a public call."""
    if mode not in get_args(ContextMode):
        raise InputError(
            f"Unknown context {mode!r}. Use one of {', '.join(get_args(ContextMode))}."
        )
    return mode  # type: ignore[return-value]


def find_values(
    job: TileJob, plane: Plane, cancel: CancelToken, deliver: Deliver | None = None
) -> PlaneValues:
    """Find a plane's values as the job's plan says.

    `deliver` receives the blocks of the job's grid that were computed on the way.
    """
    mode = job.plan.context
    warn_if_unlike(job, plane)
    stats, how = plane_stats(job.inputs, plane, job.model.card.normalisation, mode == "exact")
    begin = PlaneValues(stats, how=how)
    # A mean over orientations is not what one of them gives on the way.
    found = _found(job, plane, begin, cancel, None if job.others else deliver)
    others = tuple(_found(other, plane, begin, cancel, None) for other in job.others)
    return replace(found, others=others)


def _found(
    job: TileJob, plane: Plane, begin: PlaneValues, cancel: CancelToken, deliver: Deliver | None
) -> PlaneValues:
    """What the network takes from the whole plane, as the job's plan says."""
    mode = job.plan.context
    first = _with_held(job, plane, begin, cancel)
    if not job.reach.sites:
        return first
    if mode == "tile":
        return replace(first, how={**first.how, "context": "tile"})
    search = _Search(job, plane, first, cancel, deliver)
    with job.engine.session():
        values = search.run(mode)
    facts = values.how
    if facts["context"] == "sampled" and facts["halves_differ"] > HALVES_MAY_DIFFER:
        warnings.warn(
            f"{job.model.card.name}: what the network takes from the whole image was found from "
            f"{facts['tiles']} of {facts['of_tiles']} tiles, two halves of which differ by "
            f"{facts['halves_differ']:.2g} standard deviations (at most {HALVES_MAY_DIFFER} is "
            "wanted). Brightness or contrast may be off; context='exact' takes all tiles.",
            TinctureWarning,
            stacklevel=2,
        )
    return values


def first_values(
    job: TileJob, plane: Plane, cancel: CancelToken, count: int = 4
) -> PlaneValues | None:
    """Find a plane's values from a few tiles, soon; None where that is no less than all of it."""
    tiles = list(job.whole_grid())
    if not job.needs_context or len(tiles) <= count:
        return None
    stats, how = plane_stats(job.inputs, plane, job.model.card.normalisation, exact=False)
    begin = PlaneValues(stats, how=how)
    found, *others = (_few(one, plane, begin, cancel, count) for one in (job, *job.others))
    return replace(found, others=tuple(others))


def _few(
    job: TileJob, plane: Plane, begin: PlaneValues, cancel: CancelToken, count: int
) -> PlaneValues:
    tiles = list(job.whole_grid())
    search = _Search(job, plane, _with_held(job, plane, begin, cancel), cancel, None)
    with job.engine.session():
        return search.few([tiles[i] for i in _spread(len(tiles))[:count]], len(tiles))


def _with_held(job: TileJob, plane: Plane, values: PlaneValues, cancel: CancelToken) -> PlaneValues:
    if not has_fixed_parts(job):
        return values
    with job.engine.session():
        held = held_of(job, plane, values.stats, cancel)
    return replace(values, held=held, how={**values.how, "held": job.model.card.held})


@dataclass
class _Search:
    job: TileJob
    plane: Plane
    values: PlaneValues
    cancel: CancelToken
    deliver: Deliver | None

    @property
    def _has_delivered(self) -> bool:
        """Whether blocks were given away that have taken values, which are final by that."""
        return self.deliver is not None and self.plane in self.job.known

    def run(self, mode: ContextMode) -> PlaneValues:
        while True:
            try:
                return self._run(mode)
            except OutOfMemory as error:
                lacking = str(error)
            self.job.portions.shrink(lacking, self.job.grid[0, 0])
            if self._has_delivered:
                return self.job.known[self.plane]

    def _run(self, mode: ContextMode) -> PlaneValues:
        grid = self.job.whole_grid()
        tiles = [part for tile in grid for part in self.job.portions.of(tile)]
        room = self._tiles_that_fit(tiles)
        part = self.job.plan.region is not None and len(self.job.grid) < len(grid) / 2
        if len(tiles) <= room and mode != "sampled" and not (part and mode == "auto"):
            try:
                return self._whole(tiles)
            except OutOfMemory:
                if self._has_delivered:
                    raise
            self.job.portions.note("out of memory in lock-step: one pass per reduction instead")
            release_memory()
            room = max(room // 4, 2)
        if mode == "exact":
            return self._values(self._by_passes(tiles), _facts("passes", tiles, tiles))
        return self._values(*self._sampled(tiles, room))

    def few(self, sample: Sequence[Tile], of: int) -> PlaneValues:
        """Take the values of a few tiles, however well they agree."""
        facts = {"context": "sampled", "tiles": len(sample), "of_tiles": of}
        return self._values(self._lock_step(sample), facts)

    def _values(self, found: Found, facts: Mapping[str, Any]) -> PlaneValues:
        how = {**self.values.how, **facts, "halves_differ": found.halves_differ}
        return replace(self.values, shares=found.values, how=how)

    def _tiles_that_fit(self, tiles: Sequence[Tile]) -> int:
        job = self.job
        largest = max(tiles, key=lambda t: t.y.window_size * t.x.window_size)
        need = memory_of_forward(
            job.model.network, len(job.inputs.lanes), largest.window_shape, job.reach.sites
        )
        return int(memory_budget(job.engine.device) * MEMORY_SHARE / max(need.suspended, 1))

    def _whole(self, tiles: Sequence[Tile]) -> PlaneValues:
        """Lock-step over all tiles, whose blocks are delivered once the values are settled."""
        job = self.job
        known = {tile.index: tile for tile in job.grid}
        give = self.deliver is not None and job.plan.region is None
        facts = _facts("lock-step", tiles, tiles)

        def finished(tile: Tile, output: torch.Tensor) -> None:
            if give and self.deliver is not None and known[tile.index] == tile:
                for item, block in job.finish(output[0], (self.plane, tile)):
                    self.deliver(item, block)

        def settled(found: Found) -> None:
            if give:
                job.settle(self.plane, self._values(found, facts))

        return self._values(self._lock_step(tiles, finished, settled), facts)

    def _lock_step(
        self,
        tiles: Sequence[Tile],
        finished: Callable[[Tile, torch.Tensor], None] = lambda *_: None,
        settled: Callable[[Found], None] = lambda _: None,
    ) -> Found:
        job, check = self.job, self.cancel.check
        return lock_step(
            job.reach.sites, tiles, self._load, job.engine.network, finished, check, settled
        )

    def _by_passes(self, tiles: Sequence[Tile]) -> Found:
        job = self.job
        return collect_by_passes(
            job.reach.sites, tiles, self._load, job.engine.network, self.cancel.check
        )

    def _sampled(self, tiles: Sequence[Tile], room: int) -> tuple[Found, dict[str, Any]]:
        order = _spread(len(tiles))
        count = min(8, len(tiles))
        while True:
            sample = [tiles[i] for i in order[:count]]
            # Doubling goes on in memory as long as it can, then pass by pass.
            search = self._lock_step if count <= room else self._by_passes
            found = search(sample)
            if count == len(tiles):
                return found, _facts("lock-step" if count <= room else "passes", sample, tiles)
            if found.halves_differ <= HALVES_MAY_DIFFER or 2 * count > max(room, 64):
                return found, _facts("sampled", sample, tiles)
            count = min(2 * count, len(tiles))

    def _load(self, tile: Tile) -> torch.Tensor:
        return self.job.load((self.plane, tile), self.values)


def _facts(how: str, used: Sequence[Tile], all_tiles: Sequence[Tile]) -> dict[str, Any]:
    return {"context": how, "tiles": len(used), "of_tiles": len(all_tiles)}


def _spread(count: int) -> list[int]:
    """All of ``range(count)`` so that any beginning, and every other one of it, lies evenly.

    Places are ordered by the van der Corput sequence in base 2.
    """
    bits = max((count - 1).bit_length(), 1)
    order = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(2**bits))
    return [i for i in order if i < count]


def plane_stats(
    inputs: Inputs, plane: Plane, normalisation: Normalisation, exact: bool
) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
    """Normalisation statistics (c, 2) of a plane, and how they were found.

    Planes of up to 2**27 values, and all planes if `exact`, are measured whole; of larger ones
    16 × 16 evenly spaced blocks of 256 × 256 pixels.
    """
    stats, how = _image_stats(inputs, plane, normalisation, exact)
    for index, lane in enumerate(inputs.lanes):
        if lane.drawn:
            stats[index] = normalisation.unchanged
    return stats, how


def _image_stats(
    inputs: Inputs, plane: Plane, normalisation: Normalisation, exact: bool
) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
    channels = len(inputs.lanes)
    if not normalisation.needs_image:
        rows = [normalisation.limits(inputs.image_dtype)] * channels
        return np.asarray(rows, np.float64), {}
    height, width = inputs.shape
    if exact or channels * height * width <= _STATS_VALUES:
        whole = inputs.finite(plane, slice(0, height), slice(0, width))
        return normalisation.measure(whole), {"statistics": "whole plane"}
    blocks = [
        inputs.finite(plane, y, x).reshape(channels, 1, -1)
        for y in _sample_slices(height)
        for x in _sample_slices(width)
    ]
    sample = np.concatenate(blocks, axis=2)
    return normalisation.measure(sample), {"statistics": "16 × 16 blocks of 256 × 256 pixels"}


def _sample_slices(length: int, count: int = 16, size: int = 256) -> list[slice]:
    if length <= count * size:
        return [slice(0, length)]
    starts = np.linspace(0, length - size, count).astype(int)
    return [slice(int(s), int(s) + size) for s in starts]


def _share_to_json(share: Share) -> dict[str, Any]:
    if isinstance(share, Moments):
        arrays = {"mean": share.mean, "deviation": share.deviation}
        return {"kind": "moments", "count": share.count, **_encode(arrays)}
    return {"kind": "extremum", "largest": share.largest, **_encode({"value": share.value})}


def _share_from_json(data: Mapping[str, Any]) -> Share:
    if data["kind"] == "moments":
        return Moments(data["count"], _decode(data["mean"]), _decode(data["deviation"]))
    return Extremum(_decode(data["value"]), data["largest"])


def _encode(arrays: Mapping[str, torch.Tensor]) -> dict[str, str]:
    def text(value: torch.Tensor) -> str:
        buffer = io.BytesIO()
        np.save(buffer, value.double().cpu().numpy(), allow_pickle=False)
        return base64.b64encode(buffer.getvalue()).decode()

    return {name: text(value) for name, value in arrays.items()}


def _decode(text: str) -> torch.Tensor:
    array = np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
    return torch.from_numpy(array)
