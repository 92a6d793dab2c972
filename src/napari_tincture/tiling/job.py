"""TileJob: one window in, one core out, with the values of the whole image.

A job joins what to read (`Inputs`), what to run (`Engine`) and where (`Grid`). It finds the
values that depend on the whole image once per plane, and computes any block on request; blocks
are kept in a bounded cache, so that all who read one job run the network once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from napari_tincture.arrays import spanning
from napari_tincture.device import memory_budget
from napari_tincture.grid import Grid, Tile
from napari_tincture.models import Model
from napari_tincture.out_of_memory import OutOfMemory
from napari_tincture.progress import CancelToken
from napari_tincture.tiling.blending import Blending
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.tiling.cores import SeamMode, core_sides, geometry_of
from napari_tincture.tiling.engine import Engine
from napari_tincture.tiling.inputs import Inputs, Plane
from napari_tincture.tiling.listener import Listener
from napari_tincture.tiling.orient import Orientation
from napari_tincture.tiling.portions import Portions
from napari_tincture.tiling.reach import Reach, reach_of
from napari_tincture.tiling.trace import memory_of_forward
from napari_tincture.tiling.trim import same_place
from napari_tincture.tiling.whole import ContextMode, PlaneValues, find_values

Block = npt.NDArray[Any]
Item = tuple[Plane, Tile]
Deliver = Callable[[Item, Block], None]

GPU_SHARE = 0.5
"""Part of a GPU's free memory that one batch may take."""
LARGEST_BATCH = 16
CACHE_BYTES = 256 * 2**20
"""What finished blocks of one job may take, in bytes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a job is to be run; validated by those who use each part.

    Attributes
    ----------
    core
        Wanted side of a core in pixels, or "auto".
    region
        ((y start, stop), (x start, stop)) in pixels of the plane; None for all of it.
    context
        How values that depend on the whole image are found: "auto", "exact", "sampled", "tile".
    seams
        "exact", or "blend" for networks whose halo is dear.
    device, precision
        As in the public calls.
    dtype
        Data type of the blocks; integers are scaled from the card's output range.
    """

    core: int | Literal["auto"] = "auto"
    region: tuple[tuple[int, int], tuple[int, int]] | None = None
    context: ContextMode = "auto"
    seams: SeamMode = "exact"
    device: str = "auto"
    precision: str = "auto"
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype("float32"))


class TileJob:
    """A network applied to planes of an image, block by block.

    Parameters
    ----------
    inputs
        What is read.
    model
        What is run. Never changed.
    plan
        How.
    known
        Values found before, by plane; used instead of being found again.
    engine
        What runs the network, or gives it when it is needed; None builds one from model and plan.

    Attributes
    ----------
    orientations, others
        Other ways to lay the image that blocks are means over, and the job of each, whose values
        of the whole image are found with this one's.
    """

    def __init__(
        self,
        inputs: Inputs,
        model: Model,
        plan: Plan,
        known: dict[Plane, PlaneValues] | None = None,
        engine: Engine | Callable[[], Engine] | None = None,
    ) -> None:
        self.inputs = inputs
        self.model = model
        self.plan = plan
        self.reach: Reach = reach_of(model)
        self._engine = engine
        self.geometry = geometry_of(self.reach, plan.seams)
        core = self._core(plan.region)
        self.grid = Grid.cut(inputs.shape, core, self.geometry, plan.region)
        self.blending = Blending(self.grid, len(model.card.outputs))
        self.cache = BlockCache(CACHE_BYTES)
        self.portions = Portions(
            self.grid, model.card.name, self._fitting, divisible=not self.blended
        )
        self.listener = Listener()
        self.given = dict(known or {})
        self._known = dict(self.given)
        self._lock = threading.RLock()
        self.orientations: tuple[Orientation, ...] = ()
        self.others: tuple[TileJob, ...] = ()

    def twin(self) -> TileJob:
        """The same job, which shares nothing that changes."""
        return TileJob(self.inputs, self.model, self.plan, self.known)

    @property
    def engine(self) -> Engine:
        """What runs the network; built on first use, because it copies the weights."""
        if self._engine is None:
            self._engine = Engine(self.model, self.reach, self.plan.device, self.plan.precision)
        elif not isinstance(self._engine, Engine):
            self._engine = self._engine()
        return self._engine

    def _fitting(self) -> int:
        """Tiles to run at once: one on the CPU, on a GPU what a share of its memory holds."""
        device = self.engine.device
        if device.type == "cpu" or self.needs_context or not self.reach.exact:
            # Lock-step and blending run tile by tile; a batch rounds otherwise than its members.
            return 1
        largest = max(self.grid, key=lambda t: t.y.window_size * t.x.window_size)
        channels, shape = len(self.inputs.lanes), largest.window_shape
        need = memory_of_forward(self.model.network, channels, shape).peak
        fitting = int(memory_budget(device) * GPU_SHARE / max(need, 1))
        return min(max(fitting, 1), LARGEST_BATCH)

    def take_over(self, memory: Mapping[str, Any], known: Mapping[Plane, PlaneValues]) -> None:
        """Go on as another run of the same job, which had this memory and found these values.

        Blocks that were computed otherwise are forgotten.
        """
        self.portions.take_over(memory)
        self._known.update(known)
        self.cache.clear()
        self.blending.forget()

    @property
    def blended(self) -> bool:
        """Whether overlaps are blended, by choice or because tiles cannot be exact.

        Unpadded networks leave nothing to blend.
        """
        chosen = self.geometry != self.reach.geometry
        return chosen or (not self.reach.exact and self.geometry.border == "clip")

    @property
    def exact(self) -> bool:
        """Whether tiles give what the network gives on the whole image at once."""
        ends = tuple(self.geometry.extended(n) for n in self.inputs.shape)
        alone = len(self.grid) == 1 and self.grid[0, 0].window_shape == ends
        return self.reach.exact and (alone or not self.blended)

    @property
    def needs_context(self) -> bool:
        """Whether the network takes values from the whole image that are to be found."""
        return bool(self.reach.sites) and self.plan.context != "tile"

    def _core(self, region: tuple[tuple[int, int], tuple[int, int]] | None) -> tuple[int, int]:
        """Side lengths of a core: as wished, or as they suit the network."""
        if self.plan.core != "auto":
            return self.plan.core, self.plan.core
        y, x = [b - a for a, b in region] if region else self.inputs.shape
        return core_sides(self.geometry, (y, x), self.geometry != self.reach.geometry)

    def whole_grid(self) -> Grid:
        """The grid of the whole plane, on which values for the whole are found."""
        if self.plan.region is None:
            return self.grid
        return Grid.cut(self.inputs.shape, self._core(None), self.geometry)

    def values_of(
        self, plane: Plane, cancel: CancelToken | None = None, deliver: Deliver | None = None
    ) -> PlaneValues:
        """Values of a plane that depend on the whole of it; found on first use.

        `deliver` receives blocks that finding the values computed anyway.
        """
        with self._lock:
            found = self._known.get(plane)
            if found is None:
                found = self.settle(
                    plane, find_values(self, plane, cancel or CancelToken(), deliver)
                )
            return found

    def adopt(self, plane: Plane, values: PlaneValues) -> None:
        """Take other values for a plane; blocks that were made with earlier ones are forgotten."""
        with self._lock:
            self._known[plane] = values
            self.cache.clear()
            self.blending.forget()

    def search(self, plane: Plane, cancel: CancelToken, deliver: Deliver) -> PlaneValues:
        """Find a plane's values anew; those that it has stay until others are adopted."""
        with self._lock:
            before = self._known.pop(plane, None)
            self.blending.forget()
            try:
                return find_values(self, plane, cancel, deliver)
            finally:
                self.blending.forget()
                self._known.pop(plane, None)
                if before is not None:
                    self._known[plane] = before

    def settle(self, plane: Plane, values: PlaneValues) -> PlaneValues:
        """Take values for a plane, unless it has some already; gives those that it has."""
        if plane not in self._known:
            self._known[plane] = values
            self.listener.settled(plane, values)
        return self._known[plane]

    @property
    def known(self) -> dict[Plane, PlaneValues]:
        """Values found so far, by plane: what another job needs to give the same numbers."""
        return dict(self._known)

    def read(self, item: Item) -> npt.NDArray[Any]:
        """Image values (c, y, x) of a tile's window."""
        plane, tile = item
        return self.inputs.window(plane, tile)

    def ahead(self, item: Item) -> npt.NDArray[Any]:
        """What `compute` wants read; nothing if blended, when windows serve several tiles."""
        return np.empty(0) if self.blended else self.read(item)

    def load(self, item: Item, values: PlaneValues) -> Tensor:
        """A tile's window as the network takes it."""
        return self.engine.load(self.read(item), values)

    def block(self, plane: Plane, index: tuple[int, int]) -> Block:
        """One finished block (c', y, x), from the cache or computed now."""
        key = (plane, index)
        found = self.cache.get(key)
        if found is not None:
            return found
        # One network run at a time: torch uses all cores itself.
        with self._lock:
            found = self.cache.get(key)
            if found is None:
                self.values_of(plane, deliver=self.keep)
                found = self.cache.get(key)
            if found is None:
                item = (plane, self.grid[index])
                ((_, found),) = self.compute([(item, self.ahead(item))])
            return found

    def keep(self, item: Item, block: Block) -> None:
        """Put a finished block into the cache."""
        plane, tile = item
        self.cache.put((plane, tile.index), block)

    def compute(
        self, loaded: Sequence[tuple[Item, npt.NDArray[Any]]], keep: bool = True
    ) -> list[tuple[Item, Block]]:
        """Compute the blocks of tiles whose windows were read, and cache them if `keep`.

        For want of memory, the batch is halved and then the tile; both are noted by `portions`.
        """
        results: list[tuple[Item, Block]] = []
        with self._lock, self.engine.session():
            for _, group in groupby(loaded, key=lambda pair: _kind(pair[0])):
                members = list(group)
                while members:
                    done = self._attempt(members[: self.portions.batch])
                    results += done
                    members = members[len(done) :]
        if keep:
            for item, block in results:
                self.keep(item, block)
        return results

    def _attempt(self, members: list[tuple[Item, npt.NDArray[Any]]]) -> list[tuple[Item, Block]]:
        """Run one batch; on want of memory note it, change the plan, and give what was done."""
        plane = members[0][0][0]
        values = self.values_of(plane)
        if self.portions.halvings or self.blended:
            item, _ = members[0]
            return [(item, self._in_parts(item, values))]
        try:
            windows = [self.engine.load(window, values) for _, window in members]
            tiles = [tile for (_, tile), _ in members]
            outputs = self.engine.run_cores(windows, values.shares, tiles)
        except OutOfMemory as error:
            lacking = str(error)
        else:
            return [
                (item, self.convert(self.engine.to_host(output)))
                for (item, _), output in zip(members, outputs, strict=True)
            ]
        # Not before the error is gone, whose traceback holds the feature maps.
        self.portions.shrink(lacking, members[0][0][1])
        return []

    def _in_parts(self, item: Item, values: PlaneValues) -> Block:
        """Compute a block from smaller tiles, or blended from overlapping ones."""
        plane, tile = item
        while True:
            try:
                if self.blended:
                    return self._blended(item, values)
                return self._joined(plane, tile, self.portions.of(tile), values)
            except OutOfMemory as error:
                lacking = str(error)
            self.portions.shrink(lacking, tile)

    def _joined(self, plane: Plane, tile: Tile, parts: list[Tile], values: PlaneValues) -> Block:
        result: Block | None = None
        for part in parts:
            window = self.load((plane, part), values)
            (output,) = self.engine.run_cores([window], values.shares, [part])
            block = self.convert(self.engine.to_host(output))
            if result is None:
                result = np.empty((len(block), tile.y.size, tile.x.size), block.dtype)
            y, x = (
                slice(p.kept[0] - t.kept[0], p.kept[1] - t.kept[0])
                for p, t in ((part.y, tile.y), (part.x, tile.x))
            )
            result[:, y, x] = block
        assert result is not None
        return result

    def _blended(self, item: Item, values: PlaneValues) -> Block:
        plane, tile = item

        def run(neighbour: Tile) -> npt.NDArray[np.float32]:
            (output,) = self.engine.run([self.load((plane, neighbour), values)], values.shares)
            return self.engine.to_host(output)

        return self.convert(self.blending.block(plane, tile, run))

    def finish(self, output: Tensor, item: Item) -> Iterator[tuple[Item, Block]]:
        """Take a window's output (c', y, x); give the blocks that are finished by it."""
        plane, tile = item
        if self.blended:
            for done, values in self.blending.take(plane, tile, self.engine.to_host(output)):
                yield (plane, done), self.convert(values)
            return
        y, x = tile.inner
        yield item, self.convert(self.engine.to_host(output[:, y, x]))

    def convert(self, values: npt.NDArray[np.float32]) -> Block:
        """Give values the plan's data type; integers span the card's output range."""
        return spanning(values, self.plan.dtype, self.model.card.output_range)

    def items(self) -> Iterator[Item]:
        """All planes and tiles, in order."""
        tiles = list(self.blending.walk()) if self.blended else list(self.grid)
        return ((plane, tile) for plane in self.inputs.planes for tile in tiles)

    @property
    def bytes(self) -> int:
        """Size of the whole result."""
        rows, columns = (sum(sizes) for sizes in self.grid.chunks)
        pixels = len(self.inputs.planes) * rows * columns
        return pixels * len(self.model.card.outputs) * self.plan.dtype.itemsize

    def __len__(self) -> int:
        return len(self.inputs.planes) * len(self.grid)


def _kind(item: Item) -> tuple[Plane, tuple[int, ...]]:
    plane, tile = item
    return plane, same_place(tile)
