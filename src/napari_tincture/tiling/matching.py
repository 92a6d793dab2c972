"""Which objects of neighbouring tiles are one, from what both have segmented."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from napari_tincture.grid import Tile
from napari_tincture.tiling.objects import Labels


class Matcher:
    """Joins what neighbouring tiles call differently; a union-find over their numbers."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    @property
    def joined(self) -> tuple[int, ...]:
        """All numbers that were joined with a smaller one."""
        return tuple(self._parent)

    def find(self, number: int) -> int:
        """The least number of all that were joined with this one."""
        root = number
        while (above := self._parent.get(root, root)) != root:
            root = above
        while (above := self._parent.get(number, number)) != root:
            self._parent[number] = root
            number = above
        return root

    def join(self, first: int, second: int) -> None:
        """Call two numbers one object."""
        a, b = sorted((self.find(first), self.find(second)))
        self._parent[b] = a

    def match(
        self, mine: Labels, theirs: Labels, my_edge: frozenset[int], their_edge: frozenset[int]
    ) -> None:
        """Join the objects of two tiles in the area that both segmented.

        Two are one where each is the other's most frequent partner and they share at least half
        of the smaller one's pixels there. Only those that lie in their own tile's core at the
        edge between the cores are joined: what a window cuts at its far end may be anything.
        """
        pairs, counts = np.unique(
            np.stack([mine.ravel(), theirs.ravel()]), axis=1, return_counts=True
        )
        shared = [(a, b, n) for (a, b), n in zip(pairs.T.tolist(), counts.tolist(), strict=True)]
        sizes_a, sizes_b = _sizes(shared, 0), _sizes(shared, 1)
        best_a, best_b = _best(shared, 0), _best(shared, 1)
        for a, b, n in shared:
            if a == b or a not in my_edge or b not in their_edge:
                continue
            if best_a[a] != b or best_b[b] != a:
                continue
            if 2 * n >= min(sizes_a[a], sizes_b[b]):
                self.join(a, b)


Shared = list[tuple[int, int, int]]


def _sizes(shared: Shared, side: int) -> dict[int, int]:
    sizes: dict[int, int] = defaultdict(int)
    for pair in shared:
        sizes[pair[side]] += pair[2]
    return sizes


def _best(shared: Shared, side: int) -> dict[int, int]:
    best: dict[int, tuple[int, int]] = {}
    for pair in shared:
        own, other, count = pair[side], pair[1 - side], pair[2]
        if other and count > best.get(own, (0, 0))[1]:
            best[own] = (other, count)
    return {own: other for own, (other, _) in best.items()}


@dataclass(frozen=True, slots=True)
class Rim:
    """Labels on both sides of a core's edge: `before` and `after` pixels of it along `axis`.

    `at_edge` are the objects of the core that reach its edge.
    """

    labels: Labels
    axis: int
    before: int
    after: int
    at_edge: frozenset[int]

    def common(self, other: Rim) -> tuple[Labels, Labels]:
        """The parts that two tiles' rims of one edge share; halos are clipped at the border."""
        before, after = min(self.before, other.before), min(self.after, other.after)
        first, second = (
            np.take(rim.labels, range(rim.before - before, rim.before + after), axis=self.axis)
            for rim in (self, other)
        )
        return first, second


def rims_of(tile: Tile, labels: Labels) -> dict[str, Rim]:
    """Strips along those edges of a core beyond which the window reaches."""
    rims = {}
    for axis, span, (low, high) in (
        (0, tile.y, ("top", "bottom")),
        (1, tile.x, ("left", "right")),
    ):
        sides = ((low, span.inner.start), (high, span.inner.stop))
        for side, edge in sides:
            reach = edge if side == low else span.window_size - edge
            if not reach:
                continue
            start, stop = max(edge - reach, 0), min(edge + reach, span.window_size)
            across = [*tile.inner]
            across[axis] = slice(start, stop)
            strip = labels[tuple(across)].copy()
            line = strip.take(edge - start if side == low else edge - start - 1, axis=axis)
            at_edge = frozenset(np.unique(line[line > 0]).tolist())
            rims[side] = Rim(strip, axis, edge - start, stop - edge, at_edge)
    return rims


def largest_extent(labels: Labels, tile: Tile) -> int:
    """Longest side of the bounding boxes of objects that touch the core."""
    from scipy import ndimage

    numbers = np.unique(labels[tile.inner])
    numbers = numbers[numbers > 0]
    if not len(numbers):
        return 0
    compact = np.searchsorted(numbers, labels)
    known = (compact < len(numbers)) & (numbers[np.minimum(compact, len(numbers) - 1)] == labels)
    boxes = ndimage.find_objects(np.where(known, compact + 1, 0))
    return max(int(s.stop - s.start) for box in boxes if box is not None for s in box)
