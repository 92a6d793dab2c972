"""A bounded store of finished blocks, shared by all readers of a job."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np
import numpy.typing as npt


class BlockCache:
    """Blocks by key; the least recently used leave when the bytes exceed `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._blocks: OrderedDict[Hashable, npt.NDArray[np.generic]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> npt.NDArray[np.generic] | None:
        """The block, if it is still there."""
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
            return block

    def put(self, key: Hashable, block: npt.NDArray[np.generic]) -> None:
        """Keep a block, read-only; drop old ones if need be."""
        if block.nbytes > self.limit:
            return
        block.flags.writeable = False
        with self._lock:
            known = self._blocks.pop(key, None)
            self._bytes += block.nbytes - (known.nbytes if known is not None else 0)
            self._blocks[key] = block
            while self._bytes > self.limit:
                _, dropped = self._blocks.popitem(last=False)
                self._bytes -= dropped.nbytes

    def pop(self, key: Hashable) -> npt.NDArray[np.generic] | None:
        """Take a block out, if it is still there."""
        with self._lock:
            block = self._blocks.pop(key, None)
            self._bytes -= 0 if block is None else block.nbytes
            return block

    def __contains__(self, key: Hashable) -> bool:
        return key in self._blocks

    def clear(self) -> None:
        """Forget all blocks."""
        with self._lock:
            self._blocks.clear()
            self._bytes = 0
