"""Less of the halo, as soon as the rest of the network needs less.

A window holds the halo of the whole network, but where a decoder joins a map from below with one
from its encoder, what is left to compute sees only a few pixels around the core. The maps that
are joined are cut to just that. What the network then pads at the cut lies, by the same
measurement as the halo, outside what the core can depend on: the result does not change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from napari_tincture.grid import Grid, Span, Tile
from napari_tincture.tiling import ops
from napari_tincture.tiling.dispatch import DispatchMode
from napari_tincture.tiling.influence import influence_from
from napari_tincture.tiling.once import OncePerStructure
from napari_tincture.tiling.reach import Reach
from napari_tincture.tiling.shapes import ShapesAlone
from napari_tincture.tiling.trace import Call, run_on_meta, trace


@dataclass(frozen=True, slots=True)
class TrimPoint:
    """A call that joins maps, their stride in pixels, and how far beyond it the core still sees."""

    call: int
    stride: int
    radius: int


_FOUND: OncePerStructure[tuple[TrimPoint, ...]] = OncePerStructure()


def trim_points(network: nn.Module, channels: int, reach: Reach) -> tuple[TrimPoint, ...]:
    """Where a network's maps can be cut, in the order of its calls; found once per structure.

    None for networks with reductions over the image, with mirror border, or that are not exact.
    """
    if reach.sites or reach.reasons or reach.geometry.border == "mirror":
        return ()
    return _FOUND.of(network, channels, partial(_find, network, channels, reach))


def _find(network: nn.Module, channels: int, reach: Reach) -> tuple[TrimPoint, ...]:
    stride, halo = reach.geometry.stride, reach.geometry.halo
    base = math.ceil(64 / stride) * stride
    calls = trace(network, channels, base, base)
    joins = [(n, base // c.outputs[0][-1]) for n, c in enumerate(calls) if _joins(c, base)]
    try:
        radii = [_radius(network, channels, reach, base, join) for join in joins]
    except RuntimeError:
        # Beside its weights the network makes tensors of its own that cannot be followed.
        return ()
    points = tuple(
        TrimPoint(call, step, radius)
        for (call, step), radius in zip(joins, radii, strict=True)
        if radius < halo
    )
    return points if _fits(network, channels, reach, points) else ()


def _joins(call: Call, base: int) -> bool:
    if call.name != "cat" or len({shape[-2:] for shape in call.inputs}) != 1:
        return False
    shape = call.outputs[0]
    return len(shape) == 4 and shape[-1] == shape[-2] and base % shape[-1] == 0


def _radius(
    network: nn.Module, channels: int, reach: Reach, base: int, join: tuple[int, int]
) -> int:
    """Pixels beyond an output that it sees in the joined map, a multiple of the whole stride."""
    stride = reach.geometry.stride
    length = 2 * (math.ceil(reach.geometry.halo / stride) + 2) * stride
    edge = length // 2 // stride * stride
    call, step = join
    farthest = 0
    for axis in (-2, -1):
        shape = [1, channels, base, base]
        shape[axis] = length
        for start, stop in ((0, edge), (edge, length)):
            hit = influence_from(network, shape, call, (axis, start // step, stop // step))
            places = hit.amax([d for d in range(4) if d != axis % 4]).nonzero().flatten()
            if len(places):
                beyond = int(places[-1]) + 1 - edge if start == 0 else edge - int(places[0])
                farthest = max(farthest, beyond)
    return math.ceil(farthest / stride) * stride


def _fits(network: nn.Module, channels: int, reach: Reach, points: tuple[TrimPoint, ...]) -> bool:
    """Whether the cut maps fit together, tried without computing on the middle one of 9 tiles."""
    if not points:
        return False
    geometry = reach.geometry
    core = max(2 * geometry.halo, geometry.stride)
    tile = Grid.cut((3 * core, 3 * core), (core, core), geometry)[1, 1]
    try:
        with ShapesAlone(), trimmed(points, tile) as cut:
            result = run_on_meta(network, channels, *tile.window_shape)
    except (RuntimeError, ValueError, IndexError):
        # A network that looks at the sizes of its maps may take other steps: it is left as it is.
        return False
    covered: tuple[int, int] = cut.tile(tile).window_shape
    return bool(tuple(result.shape[-2:]) == covered)


class trimmed(DispatchMode):  # noqa: N801 - used as a context manager, like torch.no_grad
    """Cut the maps that a network joins to what the core of `tile` still needs.

    All windows of a batch must lie around their cores as this tile's does.
    """

    def __init__(self, points: Sequence[TrimPoint], tile: Tile) -> None:
        super().__init__()
        self._points = {point.call: point for point in points}
        self._spans = (tile.y, tile.x)
        self._covered = [(tile.y.window, tile.x.window)]
        self._calls = -1

    def tile(self, tile: Tile) -> Tile:
        """A tile of the batch with the window that the network's output covers."""
        y, x = (
            _moved(own, like, window)
            for own, like, window in zip(
                (tile.y, tile.x), self._spans, self._covered[-1], strict=True
            )
        )
        return replace(tile, y=y, x=x)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._calls += 1
        point = self._points.get(self._calls)
        if point is None:
            return func(*args, **(kwargs or {}))
        if ops.name_of(func) != "cat":
            raise RuntimeError(f"call {self._calls} is {ops.name_of(func)}, not cat as measured")
        wanted = tuple(_around(span, point.radius) for span in self._spans)
        maps = [self._cut(value, wanted, point.stride) for value in args[0]]
        self._covered.append((wanted[0], wanted[1]))
        return func(maps, *args[1:], **(kwargs or {}))

    def _cut(self, value: Tensor, wanted: tuple[tuple[int, int], ...], stride: int) -> Tensor:
        size = tuple(n * stride for n in value.shape[-2:])
        covered = next(
            (c for c in self._covered if tuple(stop - start for start, stop in c) == size), None
        )
        if covered is None:
            raise RuntimeError(f"a map of {tuple(value.shape)} covers no known part of the window")
        for axis, (start, stop), (first, _) in zip((-2, -1), wanted, covered, strict=True):
            value = value.narrow(axis, (start - first) // stride, (stop - start) // stride)
        return value


def _around(span: Span, radius: int) -> tuple[int, int]:
    return (
        max(span.core[0] - radius, span.window[0]),
        min(span.core[1] + radius, span.window[1]),
    )


def _moved(own: Span, like: Span, window: tuple[int, int]) -> Span:
    shift = own.core[0] - like.core[0]
    return replace(own, window=(window[0] + shift, window[1] + shift))


def same_place(tile: Tile) -> tuple[int, ...]:
    """What tiles must have in common to be run as one batch: window size, and core within it."""
    return tuple(
        n
        for span in (tile.y, tile.x)
        for n in (span.window_size, span.core[0] - span.window[0], span.core_size)
    )
