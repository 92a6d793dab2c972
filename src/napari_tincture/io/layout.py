"""How a pyramid is divided: levels into shards, which are written once, and these into chunks.

A shard of an upper level covers up to 2 × 2 shards of the level below, so that it can be made as
soon as these are finished. Integers only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from napari_tincture.io.pyramid import level_shapes
from napari_tincture.raster import Index, Raster

Key = tuple[int, ...]
"""A shard: its level, then its number along every axis."""

CHUNK = 512
"""Side in pixels of chunks, about, and of the last level, at most."""
SHARD = 2048
"""Side in pixels of shards, about."""


@dataclass(frozen=True)
class Layout:
    """Levels, shards and chunks of one result.

    Attributes
    ----------
    shapes
        Of the levels, finest first.
    shard, chunk
        Their shapes, at all levels; even in y and x, a shard is whole chunks.
    area
        What is computed together: a shard, with all channels.
    """

    shapes: tuple[tuple[int, ...], ...]
    shard: tuple[int, ...]
    chunk: tuple[int, ...]
    area: tuple[int, ...]

    @classmethod
    def of(cls, raster: Raster) -> Layout:
        """Choose a layout in which shards are whole blocks of the raster, if these suit."""
        rest = tuple(n if a == "c" and raster.rgb else 1 for a, n in raster.sizes.items())[:-2]
        area = tuple(n if a == "c" else 1 for a, n in raster.sizes.items())[:-2]
        sides = [
            _sides(n, max(blocks), len(blocks))
            for n, blocks in zip(raster.shape[-2:], raster.data.chunks[-2:], strict=True)
        ]
        shard, chunk = zip(*sides, strict=True)
        shapes = tuple(level_shapes(raster.shape, CHUNK))
        return cls(shapes, (*rest, *shard), (*rest, *chunk), (*area, *shard))

    def counts(self, level: int) -> tuple[int, ...]:
        """Number of shards along every axis of a level."""
        return _counts(self.shapes[level], self.shard)

    def place(self, key: Key) -> Index:
        """Where a shard lies in its level."""
        return _place(key[1:], self.shard, self.shapes[key[0]])

    def keys(self, level: int) -> Iterator[Key]:
        """All shards of a level."""
        return ((level, *number) for number in product(*map(range, self.counts(level))))

    def parent(self, key: Key) -> Key | None:
        """Return the shard above; None at the last level."""
        level, *rest, y, x = key
        return (level + 1, *rest, y // 2, x // 2) if level + 1 < len(self.shapes) else None

    def children(self, key: Key) -> list[Key]:
        """Return the shards of the level below that a shard is made of."""
        level, *rest, y, x = key
        *_, rows, columns = self.counts(level - 1)
        return [
            (level - 1, *rest, i, j)
            for i in range(2 * y, min(2 * y + 2, rows))
            for j in range(2 * x, min(2 * x + 2, columns))
        ]

    @cached_property
    def areas(self) -> list[Index]:
        """Areas of level 0, plane by plane, so that shards above are complete soon (Z order)."""
        *leading, rows, columns = _counts(self.shapes[0], self.area)
        order = sorted(product(range(rows), range(columns)), key=_z_order)
        numbers = ((*plane, *yx) for plane in product(*map(range, leading)) for yx in order)
        return [_place(number, self.area, self.shapes[0]) for number in numbers]

    def keys_in(self, area: Index) -> list[Key]:
        """Return the shards of level 0 that make up an area."""
        along = [
            range(s.start // side, -(-s.stop // side))
            for s, side in zip(area, self.shard, strict=True)
        ]
        return [(0, *number) for number in product(*along)]

    def shard_at(self, level: int) -> tuple[int, ...]:
        """Shard shape to state for a level's array: no larger than the level needs."""
        shape = self.shapes[level]
        return tuple(
            min(s, -(-n // c) * c) for s, c, n in zip(self.shard, self.chunk, shape, strict=True)
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-serialisable."""
        names = ("shapes", "shard", "chunk", "area")
        return {
            name: [list(v) if isinstance(v, tuple) else v for v in getattr(self, name)]
            for name in names
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Layout:
        """Rebuild from `to_json`."""
        shapes = tuple(tuple(shape) for shape in data["shapes"])
        return cls(shapes, tuple(data["shard"]), tuple(data["chunk"]), tuple(data["area"]))


def _counts(shape: Sequence[int], side: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.ceil(n / s) for n, s in zip(shape, side, strict=True))


def _place(number: Sequence[int], side: Sequence[int], shape: Sequence[int]) -> Index:
    return tuple(
        slice(i * s, min((i + 1) * s, n)) for i, s, n in zip(number, side, shape, strict=True)
    )


def _sides(length: int, block: int, blocks: int) -> tuple[int, int]:
    """Side of shard and chunk along one axis: whole blocks, and whole parts of one."""
    chunk = _part(block) if blocks > 1 else None
    if chunk is None:
        chunk = min(CHUNK, length + length % 2)
        block = chunk
    shard = max(round(SHARD / block), 1) * block
    return min(shard, -(-length // chunk) * chunk), chunk


def _part(block: int) -> int | None:
    """Largest even divisor of a block that is about a chunk; None if there is none."""
    parts = range(-(-block // (CHUNK + CHUNK // 4)), block // (CHUNK // 4) + 1)
    found = (block // n for n in parts if n and block % n == 0 and block // n % 2 == 0)
    return next(found, None)


def _z_order(place: tuple[int, int]) -> int:
    y, x = place
    return sum((y >> i & 1) << (2 * i + 1) | (x >> i & 1) << 2 * i for i in range(32))
