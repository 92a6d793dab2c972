"""From blocks in any order to finished shards of all levels, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_tincture.io.layout import Key, Layout
from napari_tincture.io.pyramid_store import PyramidStore, Record
from napari_tincture.raster import Index

Block = npt.NDArray[Any]

BUDGET = 64 * 2**20
"""Bytes of unfinished shards kept in memory; what exceeds them waits in files."""


class Done(Protocol):
    """Which shards are finished."""

    def __contains__(self, key: Key) -> bool: ...

    def __getitem__(self, key: Key) -> Record: ...

    def add(self, key: Key, record: Record) -> None:
        """Call a shard finished."""


class ShardWriter:
    """Takes blocks of level 0 and writes every shard of every level once.

    A shard is written when its last pixel has come; a shard of an upper level when the last of
    those below is finished, which are read back. So nothing but level 0 waits in memory, and a
    run that was killed goes on from the finished shards.

    Parameters
    ----------
    store
        Where shards go.
    done
        Which are finished; what is written again of these is ignored.
    scratch
        An existing folder for unfinished shards that exceed `BUDGET`.
    guard
        Entered around what touches the disk, to say in a user's words what failed there.
    rise
        Whether upper levels are written; where several processes write, one knows when.
    """

    def __init__(
        self,
        store: PyramidStore,
        done: Done,
        scratch: Path,
        guard: Callable[[], AbstractContextManager[None]],
        *,
        rise: bool = True,
    ) -> None:
        self._rise = rise
        self._store, self._done, self._guard = store, done, guard
        self._layout: Layout = store.layout
        self._pending = _Pending(scratch, BUDGET)

    def write(self, index: Index, block: Block) -> None:
        """Take a block of level 0 at `index`."""
        with self._guard():
            for key, inside, part in self._split(index, block):
                if key in self._done:
                    continue
                shape = tuple(s.stop - s.start for s in self._layout.place(key))
                whole = part
                if part.shape != shape:
                    joined = self._pending.put(key, shape, inside, part)
                    if joined is None:
                        continue
                    whole = joined
                self.finished(key, self._store.put(key, whole))

    def finished(self, key: Key, record: Record) -> None:
        """Record a shard, and write those above that now can be."""
        above = self.add(key, record)
        if above is not None and self._rise:
            self.finished(above, self._store.build(above))

    def add(self, key: Key, record: Record) -> Key | None:
        """Record a shard; gives the one above if it can be written now."""
        with self._guard():
            self._done.add(key, record)
        above = self._layout.parent(key)
        return above if above is not None and self.ready(above) else None

    def below(self, key: Key) -> list[tuple[Key, Record]]:
        """What is known of the finished shards that one is made of."""
        return [(child, self._done[child]) for child in self._layout.children(key)]

    def ready(self, key: Key) -> bool:
        """Tell whether a shard of an upper level is missing and all below it are finished."""
        return key not in self._done and all(c in self._done for c in self._layout.children(key))

    def catch_up(self) -> None:
        """Write the upper shards that an interrupted run could have written, but did not."""
        for level in range(1, len(self._layout.shapes)):
            for key in self._layout.keys(level):
                if self.ready(key):
                    with self._guard():
                        self.finished(key, self._store.build(key))

    def check_complete(self) -> None:
        """Check that every shard of every level is finished.

        Raises
        ------
        RuntimeError
            If blocks were missing; the result must not be used.
        """
        levels = range(len(self._layout.shapes))
        missing = [k for level in levels for k in self._layout.keys(level) if k not in self._done]
        if missing:
            raise RuntimeError(f"Pixels of {len(missing)} shards were never written: {missing[0]}.")

    def _split(self, index: Index, block: Block) -> Iterator[tuple[Key, Index, Block]]:
        """Cut a block at shard borders: shard, place within it, and values."""
        start, shard = [s.start for s in index], self._layout.shard
        axes = [
            list(_cuts(first, first + length, side))
            for first, length, side in zip(start, block.shape, shard, strict=True)
        ]
        for cuts in product(*axes):
            inside = tuple(
                slice(a - n * side, b - n * side)
                for (n, a, b), side in zip(cuts, shard, strict=True)
            )
            part = tuple(slice(a - s, b - s) for (_, a, b), s in zip(cuts, start, strict=True))
            yield (0, *(number for number, _, _ in cuts)), inside, block[part]


def _cuts(start: int, stop: int, side: int) -> Iterator[tuple[int, int, int]]:
    for number in range(start // side, -(-stop // side)):
        yield number, max(start, number * side), min(stop, (number + 1) * side)


class _Pending:
    """Unfinished shards, in memory up to a budget, the least recently used beyond it in files."""

    def __init__(self, scratch: Path, budget: int) -> None:
        self._scratch, self._budget = scratch, budget
        self._memory: OrderedDict[Key, Block] = OrderedDict()
        self._missing: dict[Key, int] = {}
        self._bytes = 0

    def put(self, key: Key, shape: Sequence[int], at: Index, part: Block) -> Block | None:
        """Add a part; gives the shard when this completes it."""
        shard = self._take(key) if key in self._missing else np.empty(shape, part.dtype)
        shard[at] = part
        missing = self._missing.pop(key, shard.size) - part.size
        if missing < 0:
            raise RuntimeError(f"Pixels of shard {key} were written twice.")
        if missing == 0:
            return shard
        self._missing[key] = missing
        self._memory[key] = shard
        self._bytes += shard.nbytes
        self._spill()
        return None

    def _take(self, key: Key) -> Block:
        shard = self._memory.pop(key, None)
        if shard is not None:
            self._bytes -= shard.nbytes
            return shard
        loaded: Block = np.load(self._file(key))
        self._file(key).unlink()
        return loaded

    def _spill(self) -> None:
        while self._bytes > self._budget and len(self._memory) > 1:
            key, shard = self._memory.popitem(last=False)
            np.save(self._file(key), shard)
            self._bytes -= shard.nbytes

    def _file(self, key: Key) -> Path:
        return self._scratch / ("-".join(map(str, key)) + ".npy")
