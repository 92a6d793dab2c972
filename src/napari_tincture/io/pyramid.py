"""All levels of a pyramid in one pass over level 0, in bounded memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture.raster import Index

Block = npt.NDArray[Any]
ChunkIndex = tuple[int, ...]

BUDGET = 16 * 2**20
"""Bytes of unfinished chunks kept in memory; what exceeds them waits in files."""


def level_shapes(shape: Sequence[int], smallest: int) -> list[tuple[int, ...]]:
    """Give the shapes of the levels; y and x are halved (rounded up) down to `smallest` pixels."""
    shapes = [tuple(shape)]
    while max(shapes[-1][-2:]) > smallest:
        *rest, y, x = shapes[-1]
        shapes.append((*rest, math.ceil(y / 2), math.ceil(x / 2)))
    return shapes


def downsample(block: Block, kind: Literal["image", "labels"]) -> Block:
    """Halve y and x: the mean of 2 × 2 pixels of an image, the upper left one of labels.

    Parameters
    ----------
    block : ndarray, (..., y, x)
        Odd sides are extended by their last row or column. Integer means are rounded to the
        nearest, halves up.
    kind : {"image", "labels"}

    Returns
    -------
    ndarray, (..., ceil(y / 2), ceil(x / 2))
        Of the same dtype.
    """
    if kind == "labels":
        return np.ascontiguousarray(block[..., ::2, ::2])
    odd = [(0, 0)] * (block.ndim - 2) + [(0, n % 2) for n in block.shape[-2:]]
    if any(after for _, after in odd):
        block = np.pad(block, odd, mode="edge")
    quarters = [block[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    return _mean(quarters).astype(block.dtype, copy=False)


def _mean(parts: Sequence[Block]) -> Block:
    """Average four arrays without overflow."""
    dtype = parts[0].dtype
    if dtype.kind == "f":
        total = np.zeros(parts[0].shape, np.result_type(dtype, np.float32))
        for part in parts:
            total += part * total.dtype.type(0.25)
        return total
    if dtype.itemsize == 8:
        # Quotients and remainders by four are summed apart: four values may not fit in 64 bits.
        quotient, rest = np.zeros_like(parts[0]), np.full_like(parts[0], 2)
        for part in parts:
            quotient += part >> 2
            rest += part & 3
        return np.asarray(quotient + (rest >> 2))
    kind = "i" if dtype.kind == "i" else "u"
    total = np.full(parts[0].shape, 2, f"{kind}{2 * dtype.itemsize}")
    for part in parts:
        total += part
    return np.asarray(total >> 2)


class PyramidWriter:
    """Takes blocks of level 0 in any order and writes every chunk of every level once.

    Each chunk of a level, once complete, is written and its halved copy goes to the next level.
    Unfinished chunks take up to `BUDGET` bytes of memory; with blocks that arrive row by row
    these are one row of chunks per level. What exceeds the budget waits in files.

    Parameters
    ----------
    arrays : sequence of array-like
        One per level, with shape, dtype and ``__setitem__``, shapes as from `level_shapes`.
    chunk : tuple of int
        Chunk shape; even in y and x.
    kind : {"image", "labels"}
        How levels are made, see `downsample`.
    scratch : Path
        An existing folder for files of unfinished chunks.
    """

    def __init__(
        self,
        arrays: Sequence[Any],
        chunk: tuple[int, ...],
        kind: Literal["image", "labels"],
        scratch: Path,
    ) -> None:
        if any(side % 2 for side in chunk[-2:]):
            raise ValueError(f"Chunks must have even sides to be halved, got {chunk}.")
        self._arrays, self._chunk, self._kind = arrays, chunk, kind
        self._pending = _Pending(scratch, BUDGET)
        self._left = [math.prod(array.shape) for array in arrays]

    def write(self, index: Index, block: Block) -> None:
        """Take a block of level 0 at `index`."""
        self._add(0, [s.start for s in index], np.asarray(block))

    def finish(self) -> None:
        """Check that every pixel of every level was written.

        Raises
        ------
        RuntimeError
            If blocks were missing; the result must not be used.
        """
        if any(self._left):
            raise RuntimeError(f"Pixels are missing in the levels: {self._left}.")

    def _add(self, level: int, start: Sequence[int], block: Block) -> None:
        for chunk, inside, part in self._split(start, block):
            shape = self._shape_of(level, chunk)
            if part.shape == shape:
                self._complete(level, chunk, part)
            else:
                whole = self._pending.put((level, *chunk), shape, inside, part)
                if whole is not None:
                    self._complete(level, chunk, whole)

    def _split(
        self, start: Sequence[int], block: Block
    ) -> Iterator[tuple[ChunkIndex, Index, Block]]:
        """Cut a block at chunk borders: chunk index, place within it, and values."""
        axes = [
            list(_cuts(first, first + length, side))
            for first, length, side in zip(start, block.shape, self._chunk, strict=True)
        ]
        for cuts in product(*axes):
            chunk = tuple(number for number, _, _ in cuts)
            inside = tuple(
                slice(a - n * side, b - n * side)
                for (n, a, b), side in zip(cuts, self._chunk, strict=True)
            )
            part = tuple(slice(a - s, b - s) for (_, a, b), s in zip(cuts, start, strict=True))
            yield chunk, inside, block[part]

    def _shape_of(self, level: int, chunk: ChunkIndex) -> tuple[int, ...]:
        shape = self._arrays[level].shape
        return tuple(
            min(side, n - i * side) for i, side, n in zip(chunk, self._chunk, shape, strict=True)
        )

    def _complete(self, level: int, chunk: ChunkIndex, values: Block) -> None:
        start = [i * side for i, side in zip(chunk, self._chunk, strict=True)]
        index = tuple(slice(a, a + n) for a, n in zip(start, values.shape, strict=True))
        self._arrays[level][index] = values
        self._left[level] -= values.size
        if level + 1 < len(self._arrays):
            half = [*start[:-2], start[-2] // 2, start[-1] // 2]
            self._add(level + 1, half, downsample(values, self._kind))


def _cuts(start: int, stop: int, side: int) -> Iterator[tuple[int, int, int]]:
    for number in range(start // side, -(-stop // side)):
        yield number, max(start, number * side), min(stop, (number + 1) * side)


class _Pending:
    """Unfinished chunks, in memory up to a budget, the least recently used beyond it in files."""

    def __init__(self, scratch: Path, budget: int) -> None:
        self._scratch, self._budget = scratch, budget
        self._memory: OrderedDict[ChunkIndex, Block] = OrderedDict()
        self._missing: dict[ChunkIndex, int] = {}
        self._bytes = 0

    def put(self, key: ChunkIndex, shape: tuple[int, ...], at: Index, part: Block) -> Block | None:
        """Add a part; gives the chunk when this completes it."""
        chunk = self._take(key) if key in self._missing else np.empty(shape, part.dtype)
        chunk[at] = part
        missing = self._missing.pop(key, chunk.size) - part.size
        if missing < 0:
            raise RuntimeError(f"Pixels of chunk {key} were written twice.")
        if missing == 0:
            return chunk
        self._missing[key] = missing
        self._memory[key] = chunk
        self._bytes += chunk.nbytes
        self._spill()
        return None

    def _take(self, key: ChunkIndex) -> Block:
        chunk = self._memory.pop(key, None)
        if chunk is not None:
            self._bytes -= chunk.nbytes
            return chunk
        loaded: Block = np.load(self._file(key))
        self._file(key).unlink()
        return loaded

    def _spill(self) -> None:
        while self._bytes > self._budget and len(self._memory) > 1:
            key, chunk = self._memory.popitem(last=False)
            np.save(self._file(key), chunk)
            self._bytes -= chunk.nbytes

    def _file(self, key: ChunkIndex) -> Path:
        return self._scratch / ("-".join(map(str, key)) + ".npy")
