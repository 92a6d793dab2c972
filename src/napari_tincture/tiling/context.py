"""Values that depend on the whole image, for networks that are run tile by tile.

Instance norm, class-activation pooling and the like reduce over the image, and over a tile they
give something else. Here they are intercepted at the dispatcher, whatever module or function
makes the call:

- `lock_step` runs all tiles as coroutines. Each is suspended at a reduction until every tile has
  added its core's share, then resumed with the whole image's value. One pass, exact.
- `collect_by_passes` finds the same values without keeping tiles suspended: one pass over the
  tiles per reduction. Slow, in constant memory.
- `frozen` runs a tile with values found before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self, TypeVar

import torch
from greenlet import GreenletExit, getcurrent, greenlet
from torch import Tensor

from napari_tincture.errors import ModelError
from napari_tincture.grid import Tile
from napari_tincture.tiling import ops
from napari_tincture.tiling.dispatch import DispatchMode
from napari_tincture.tiling.reductions import (
    Extremum,
    Moments,
    Reduction,
    Share,
    reduction,
)
from napari_tincture.tiling.trace import Site

Values = tuple[Share, ...]
T = TypeVar("T", bound=Tile)
Network = Callable[[Tensor], Tensor]
Check = Callable[[], None]


class _SiteMode(DispatchMode):
    """Counts calls and gives what `_reduce` says for those that reduce over the image."""

    def __init__(self, sites: Sequence[Site]) -> None:
        super().__init__()
        self._sites = {site.call: (number, site) for number, site in enumerate(sites)}
        self._calls = -1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._calls += 1
        found = self._sites.get(self._calls)
        if found is None:
            return func(*args, **(kwargs or {}))
        number, site = found
        name = ops.name_of(func)
        if name != site.name:
            raise ModelError(
                f"The network called {name} where it called {site.name} when it was measured: its "
                "steps depend on the data or on outside state. Run it with context='tile'."
            )
        taken = reduction(func, ops.bind(func, args, kwargs or {}))
        assert taken is not None
        return self._reduce(number, site, taken)

    def _reduce(self, number: int, site: Site, taken: Reduction) -> Any:
        raise NotImplementedError


class frozen(_SiteMode):  # noqa: N801  (used as a context manager, like torch.no_grad)
    """Run a network, on one tile or a batch of them, with the whole image's `values`."""

    def __init__(self, sites: Sequence[Site], values: Values) -> None:
        super().__init__(sites)
        self._values = values
        self._inference = torch.inference_mode()

    def __enter__(self) -> Self:
        self._inference.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        self._inference.__exit__(*raised)

    def _reduce(self, number: int, site: Site, taken: Reduction) -> Any:
        return taken.finish(self._values[number])


class _Collecting(_SiteMode):
    def __init__(self, sites: Sequence[Site], tile: Tile) -> None:
        super().__init__(sites)
        self._tile = tile

    def share(self, site: Site, taken: Reduction) -> Share:
        return taken.collect(core_of(taken.values, site, self._tile))


class _Suspending(_Collecting):
    def __init__(self, sites: Sequence[Site], tile: Tile, hub: greenlet) -> None:
        super().__init__(sites, tile)
        self._hub = hub

    def _reduce(self, number: int, site: Site, taken: Reduction) -> Any:
        return taken.finish(self._hub.switch(self.share(site, taken)))


class _Reached(Exception):
    """Unwinds a forward pass at the first reduction whose value is not yet known."""

    def __init__(self, share: Share) -> None:
        super().__init__()
        self.share = share


class _Stopping(_Collecting):
    def __init__(self, sites: Sequence[Site], tile: Tile, known: Values) -> None:
        super().__init__(sites, tile)
        self._known = known

    def _reduce(self, number: int, site: Site, taken: Reduction) -> Any:
        if number < len(self._known):
            return taken.finish(self._known[number])
        raise _Reached(self.share(site, taken))


def core_of(values: Tensor, site: Site, tile: Tile) -> Tensor:
    """The core's part of a feature map that covers a tile's window.

    Parameters
    ----------
    values
        Feature map of any shape.
    site
        Says which of its axes are the image's, or hold it flattened.
    tile
        The tile whose window `values` covers.
    """
    axes = site.axes
    if len(axes) == 2:
        return _core_of_map(values, axes, tile)
    height, width = tile.window_shape
    stride = math.isqrt(site.merged * height * width // values.shape[axes[0]])
    map_ = values.unflatten(axes[0], (site.merged, height // stride, width // stride))
    return _core_of_map(map_, (axes[0] - 1, axes[0]), tile).flatten(axes[0] - 2, axes[0])


def _core_of_map(values: Tensor, axes: tuple[int, ...], tile: Tile) -> Tensor:
    for axis, span in zip(axes, (tile.y, tile.x), strict=True):
        inner = span.inner_at(values.shape[axis])
        if inner is None:
            raise ModelError(
                f"A reduction over a feature map of {tuple(values.shape)} in a window of "
                f"{tile.window_shape} pixels: the map does not lie on a whole stride of the "
                "window. Run it with context='tile'."
            )
        values = values.narrow(axis, inner.start, inner.stop - inner.start)
    return values


def merge(shares: Sequence[Share]) -> Share:
    """The whole's value from those of its parts, in the order given."""
    return reduce(lambda a, b: a.merge(b), shares)  # type: ignore[arg-type]


def difference(first: Share, second: Share) -> float:
    """How far two disjoint samples' values lie apart, in standard deviations (root mean square)."""
    if isinstance(first, Moments) and isinstance(second, Moments):
        whole = first.merge(second).variance.clamp_min(1e-12)
        means = (first.mean - second.mean) ** 2
        spreads = (first.variance.sqrt() - second.variance.sqrt()) ** 2
        return float(((means + spreads) / whole).mean().sqrt())
    assert isinstance(first, Extremum)
    assert isinstance(second, Extremum)
    scale = torch.maximum(first.value.abs(), second.value.abs()).clamp_min(1e-6)
    return float((((first.value - second.value) / scale).double() ** 2).mean().sqrt())


@dataclass(frozen=True, slots=True)
class Found:
    """Values of all reductions, and how far two disjoint halves of the tiles lay apart."""

    values: Values
    halves_differ: float


def lock_step(
    sites: Sequence[Site],
    tiles: Sequence[T],
    read: Callable[[T], Tensor],
    network: Network,
    deliver: Callable[[T, Tensor], None],
    check: Check = lambda: None,
    settled: Callable[[Found], None] = lambda _: None,
) -> Found:
    """Run all tiles in lock-step, one forward pass each, with the values of all of them together.

    Parameters
    ----------
    sites
        Reductions over the image, in the order in which the network makes them.
    tiles
        Tiles whose cores make up the image (or a sample of it).
    read
        Gives the window of one tile, (1, c, y, x).
    network
        The measured network and nothing else: every call that it makes is counted.
    deliver
        Receives each tile's output, in the order of `tiles`.
    check
        Called between any two steps; what it raises ends all tiles.
    settled
        Told what was found, before the first output is delivered.
    """
    hub = getcurrent()
    tasks = [greenlet(_coroutine(sites, tile, hub, read, network), parent=hub) for tile in tiles]
    # Calls were counted in inference mode. Suspended tiles also leave torch's state for the thread
    # in disorder, which the end of inference mode sets right.
    with torch.inference_mode():
        try:
            return _in_step(sites, tiles, tasks, deliver, check, settled)
        finally:
            # An error in one tile unwinds all, so that none keeps its feature maps.
            for task in tasks:
                if task:
                    task.throw(GreenletExit)


def _in_step(
    sites: Sequence[Site],
    tiles: Sequence[T],
    tasks: Sequence[greenlet],
    deliver: Callable[[T, Tensor], None],
    check: Check,
    settled: Callable[[Found], None],
) -> Found:
    values: list[Share] = []
    apart = 0.0
    resume: tuple[Share, ...] = ()
    for _ in sites:
        shares = []
        for task in tasks:
            check()
            shares.append(_until_reduction(task, resume))
        values.append(merge(shares))
        resume = (values[-1],)
        apart = max(apart, _halves_differ(shares))
    found = Found(tuple(values), apart)
    settled(found)
    for task, tile in zip(tasks, tiles, strict=True):
        check()
        deliver(tile, task.switch(*resume))
    return found


def _halves_differ(shares: Sequence[Share]) -> float:
    return difference(merge(shares[::2]), merge(shares[1::2])) if len(shares) > 1 else 0.0


def _coroutine(
    sites: Sequence[Site],
    tile: T,
    hub: greenlet,
    read: Callable[[T], Tensor],
    network: Network,
) -> Callable[[], Tensor]:
    def run() -> Tensor:
        window = read(tile)
        with _Suspending(sites, tile, hub):
            return network(window)

    return run


def _until_reduction(task: greenlet, resume: tuple[Share, ...]) -> Share:
    share = task.switch(*resume)
    if task.dead:
        raise ModelError(_FEWER)
    return share  # type: ignore[no-any-return]


_FEWER = (
    "The network made fewer reductions over the image than when it was measured: its steps depend "
    "on the data or on outside state. Run it with context='tile'."
)


def collect_by_passes(
    sites: Sequence[Site],
    tiles: Sequence[T],
    read: Callable[[T], Tensor],
    network: Network,
    check: Check = lambda: None,
) -> Found:
    """Find the same values as `lock_step` with one pass over the tiles per reduction.

    Nothing stays suspended between tiles: memory does not grow with the image.
    """
    values: tuple[Share, ...] = ()
    apart = 0.0
    while len(values) < len(sites):
        shares = []
        for tile in tiles:
            check()
            shares.append(_up_to_reduction(sites, tile, values, read(tile), network))
        values = (*values, merge(shares))
        apart = max(apart, _halves_differ(shares))
    return Found(values, apart)


def _up_to_reduction(
    sites: Sequence[Site], tile: Tile, known: Values, window: Tensor, network: Network
) -> Share:
    try:
        with torch.inference_mode(), _Stopping(sites, tile, known):
            network(window)
    except _Reached as reached:
        return reached.share
    raise ModelError(_FEWER)
