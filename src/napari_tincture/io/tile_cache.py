"""Tiles on disk, in the user's cache folder: what was computed yesterday is there today.

One folder per job, named by everything that its numbers depend on. A tile is a file that is
written under another name first and ends in a checksum: what is torn is as good as missing.
The folders of the jobs that were used longest ago leave when all together grow too large.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import tempfile
import zlib
from collections.abc import Hashable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.tiling.cache import BlockCache

Block = npt.NDArray[Any]
Key = tuple[tuple[int, ...], tuple[int, int]]
"""Plane, and row and column of the tile."""

VARIABLE = "NAPARI_TINCTURE_CACHE"
"""Names the environment variable that names the folder; empty for no cache on disk."""
SIZE_VARIABLE = "NAPARI_TINCTURE_CACHE_GB"
"""Names the environment variable of how many GiB all jobs together may leave on the disk."""
USUAL_GIGABYTES = 10.0


def cache_folder() -> Path | None:
    """The folder of the cache; None if there is to be none."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return Path(chosen).expanduser() if chosen else None
    from platformdirs import user_cache_path

    return user_cache_path("napari-tincture", appauthor=False) / "tiles"


def scratch_folder() -> Path:
    """Where files without a name may grow large: beside the cache, or the system's folder."""
    folder = cache_folder()
    if folder is not None:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    return Path(tempfile.gettempdir())


def cache_limit() -> int:
    """Bytes that all jobs together may leave on the disk.

    Raises
    ------
    InputError
        If the environment variable is no positive number.
    """
    text = os.environ.get(SIZE_VARIABLE) or str(USUAL_GIGABYTES)
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 0 < size < math.inf:
        raise InputError(f"{SIZE_VARIABLE} is {text!r}: expected a number of GiB, such as 10.")
    return int(size * 2**30)


class TileCache(BlockCache):
    """Blocks in memory, and behind them on disk.

    Parameters
    ----------
    root
        Folder of all jobs.
    identity
        JSON-serialisable: everything that the numbers of the job depend on.
    limit
        Bytes in memory.
    disk_limit
        Bytes on disk, of all jobs; None: as `cache_limit` says.

    Notes
    -----
    Blocks are written when `flush` is called, so that nobody waits for a disk; a disk that is full
    or read-only is as good as none.
    """

    def __init__(
        self, root: Path, identity: Mapping[str, Any], limit: int, disk_limit: int | None = None
    ) -> None:
        super().__init__(limit)
        text = json.dumps(identity, sort_keys=True, default=str)
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:32]
        self._root, self._text, self._disk_limit = root, text, disk_limit or cache_limit()
        self._part: dict[tuple[int, ...], str] = {}
        self._waiting: list[tuple[Path, bytes]] = []
        self._blocks_waiting: dict[Path, Block] = {}

    def use(self, plane: tuple[int, ...], values: Mapping[str, Any]) -> None:
        """Say which values of the whole image the blocks of a plane are made with from now on."""
        text = json.dumps([values["stats"], values["shares"]], sort_keys=True)
        self._part[plane] = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._waiting.append((self._values_file(plane), json.dumps(values).encode()))

    def values(self, plane: tuple[int, ...]) -> dict[str, Any] | None:
        """Give the values of the whole image that a plane's tiles were last made with."""
        found = _read(self._values_file(plane))
        return None if found is None else dict(json.loads(found))

    def get(self, key: Hashable) -> npt.NDArray[np.generic] | None:
        """The block, from memory or the disk."""
        block = super().get(key)
        file = self._file(key)
        if block is not None or file is None:
            return block
        block = self._blocks_waiting.get(file)
        if block is None:
            block = _load(file)
        if block is not None:
            super().put(key, block)
        return block

    def put(self, key: Hashable, block: npt.NDArray[np.generic]) -> None:
        """Keep a block, in memory now and on disk with the next `flush`."""
        super().put(key, block)
        if (file := self._file(key)) is not None:
            self._blocks_waiting[file] = block

    def put_overview(self, key: Key, level: int, small: Block) -> None:
        """Keep a tile's copy at a level, to show it among all others."""
        if (file := self._file(key, f".level{level}")) is not None:
            self._blocks_waiting[file] = small

    def overviews(self, planes: list[tuple[int, ...]]) -> Iterator[tuple[Key, int, Block]]:
        """Give what `put_overview` kept of these planes before: key, level and copy."""
        for plane in planes:
            folder = self._plane_folder(plane)
            for file in sorted(folder.glob("*.level*")) if folder else []:
                small = _load(file)
                if small is not None:
                    name, level = file.name.rsplit(".level", 1)
                    i, j = name.split("-")
                    yield (plane, (int(i), int(j))), int(level), small

    def flush(self) -> None:
        """Write what waits."""
        blocks, self._blocks_waiting = self._blocks_waiting, {}
        texts, self._waiting = self._waiting, []
        if not blocks and not texts:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for file, block in blocks.items():
                _write(file, _dump(block))
            for file, text in texts:
                _write(file, text)
        except OSError:
            return  # without a disk everything is computed again, which is slow but right

    def open(self) -> None:
        """Note the time of use, by which folders leave, and let the oldest leave."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / "job.json", self._text.encode())
            os.utime(self.folder)
            trim(self._root, self._disk_limit, keep=self.folder)
        except OSError:
            return

    def _file(self, key: Any, suffix: str = ".tile") -> Path | None:
        if len(key) != 2 or not isinstance(key[0], tuple):
            return None  # of a step on the way, not a finished block
        folder = self._plane_folder(key[0])
        return None if folder is None else folder / f"{key[1][0]}-{key[1][1]}{suffix}"

    def _plane_folder(self, plane: tuple[int, ...]) -> Path | None:
        part = self._part.get(plane)
        return None if part is None else self.folder / f"{_name(plane)}-{part}"

    def _values_file(self, plane: tuple[int, ...]) -> Path:
        return self.folder / f"{_name(plane)}.values"


def trim(root: Path, limit: int, keep: Path) -> None:
    """Remove the folders that were used longest ago until all take at most `limit` bytes."""
    folders = sorted((f for f in root.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime)
    sizes = {f: sum(p.stat().st_size for p in f.rglob("*") if p.is_file()) for f in folders}
    total = sum(sizes.values())
    for folder in folders:
        if total <= limit:
            return
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]


def _name(plane: tuple[int, ...]) -> str:
    return "plane" + "".join(f"-{i}" for i in plane)


def _dump(block: Block) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, block, allow_pickle=False)
    return buffer.getvalue()


def _load(file: Path) -> Block | None:
    data = _read(file)
    if data is None:
        return None
    block: Block = np.load(io.BytesIO(data), allow_pickle=False)
    return block


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.part")
    unfinished.write_bytes(data + zlib.crc32(data).to_bytes(4, "little"))
    unfinished.replace(file)


def _read(file: Path) -> bytes | None:
    """Content of a file; None if it is missing or torn."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    content, check = data[:-4], data[-4:]
    return content if zlib.crc32(content).to_bytes(4, "little") == check else None
