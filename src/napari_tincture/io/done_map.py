"""Which shards are finished: one line of JSON each, on the disk before anyone relies on it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

from napari_tincture.io.layout import Key


class DoneMap:
    """Finished shards and what is known of each, in a file that only grows.

    A kill or a power failure may leave half a line at the end; it is cut off when the file is
    opened again, and its shard counts as unfinished.
    """

    def __init__(self, path: Path) -> None:
        self._records: dict[Key, dict[str, Any]] = {}
        good = self._read(path) if path.exists() else 0
        # Unbuffered: what could not be written must not be tried again when the file is closed.
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._file.truncate(good)
        self._file.seek(good)

    def _read(self, path: Path) -> int:
        good = 0
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                record = json.loads(line)
                key = tuple(record.pop("shard"))
            except (ValueError, KeyError, TypeError, AttributeError):
                break
            if not line.endswith(b"\n"):
                break
            self._records[key] = record
            good += len(line)
        return good

    def __contains__(self, key: Key) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        return self._records[key]

    @property
    def keys(self) -> tuple[Key, ...]:
        """All finished shards."""
        return tuple(self._records)

    def add(self, key: Key, record: dict[str, Any]) -> None:
        """Call a shard finished; its pixels must be on the disk already."""
        line = json.dumps({"shard": list(key), **record}).encode() + b"\n"
        start = self._file.tell()
        try:
            while line:
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.seek(start)
            self._file.truncate(start)
            raise
        self._records[key] = record

    def forget(self, key: Key) -> None:
        """Call a shard unfinished, because its pixels were lost; noted when it is added again."""
        del self._records[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
