"""Objects of single tiles on disk, until all tiles are there and neighbours can be matched."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.durable import flush_file, flush_folder
from napari_tincture.errors import TinctureError
from napari_tincture.grid import Grid, Tile
from napari_tincture.tiling.matching import Matcher, Rim, largest_extent, rims_of
from napari_tincture.tiling.objects import Labels

Place = tuple[int, int]
_SIDES = ("top", "bottom", "left", "right")
_OPPOSITE = dict(zip(_SIDES, ("bottom", "top", "right", "left"), strict=True))


@dataclass(frozen=True, slots=True)
class TileObjects:
    """What one tile has found.

    Attributes
    ----------
    core
        Objects of the core (y, x), each by its provisional number, 0 for background.
    rims
        What it has found around the edges of its core, by side.
    largest
        Longest side in pixels of an object that touches the core.
    """

    core: Labels
    rims: dict[str, Rim]
    largest: int

    @classmethod
    def of(cls, tile: Tile, labels: Labels) -> TileObjects:
        """Take what is needed of a window's labels."""
        return cls(labels[tile.inner], rims_of(tile, labels), largest_extent(labels, tile))


@dataclass(frozen=True, slots=True)
class Names:
    """Final numbers of a plane's objects.

    Attributes
    ----------
    provisional
        Sorted provisional numbers, int64.
    final
        The final number of each; several may be one object.
    count
        Number of objects.
    largest
        Longest side of any, in pixels.
    """

    provisional: npt.NDArray[np.int64]
    final: npt.NDArray[np.int64]
    count: int
    largest: int

    def of(self, labels: Labels) -> Labels:
        """Replace provisional numbers by final ones."""
        numbers, where = np.unique(labels, return_inverse=True)
        found = np.zeros(len(numbers), np.int64)
        known = numbers > 0
        found[known] = self.final[np.searchsorted(self.provisional, numbers[known])]
        return found[where].reshape(labels.shape)


class TileFolder:
    """A file per tile of a plane; what is there is complete, whatever was killed.

    Parameters
    ----------
    folder
        Made if need be.
    grid
        The tiles.
    """

    def __init__(self, folder: Path, grid: Grid) -> None:
        self._folder, self._grid = folder, grid
        folder.mkdir(parents=True, exist_ok=True)

    def __contains__(self, index: Place) -> bool:
        return self._file(index).exists()

    def save(self, index: Place, found: TileObjects) -> None:
        """Keep what a tile has found; when this returns it is on the disk."""
        arrays: dict[str, npt.NDArray[Any]] = {"largest": np.array(found.largest)}
        arrays |= _packed("core", found.core)
        for side, rim in found.rims.items():
            arrays |= _packed(side, rim.labels)
            arrays[f"{side}-place"] = np.array([rim.axis, rim.before, rim.after])
            arrays[f"{side}-edge"] = np.array(sorted(rim.at_edge), np.int64)
        file = self._file(index)
        temporary = file.with_name(f"{uuid.uuid4().hex}.partial")
        with temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        flush_file(temporary)
        temporary.replace(file)
        flush_folder(self._folder)

    def core(self, index: Place) -> Labels:
        """Objects of a tile's core, by provisional numbers."""
        with self._open(index) as arrays:
            return _unpacked("core", arrays)

    def names(self, offset: int) -> Names:
        """Match all tiles and number their objects from ``offset + 1``, by first pixel."""
        matcher, numbers, largest = Matcher(), [np.zeros(0, np.int64)], 0
        for tile in self._grid:
            with self._open(tile.index) as arrays:
                own = arrays["core-numbers"]
                numbers.append(own[own > 0])
                largest = max(largest, int(arrays["largest"]))
                for other, side in _before(tile.index):
                    self._match(matcher, _rim(side, arrays), other, _OPPOSITE[side])
        provisional = np.unique(np.concatenate(numbers))
        roots = provisional.copy()
        for number in matcher.joined:
            roots[np.searchsorted(provisional, number)] = matcher.find(number)
        unique, final = np.unique(roots, return_inverse=True)
        return Names(provisional, final + offset + 1, len(unique), largest)

    def _match(self, matcher: Matcher, mine: Rim | None, other: Place, side: str) -> None:
        with self._open(other) as arrays:
            theirs = _rim(side, arrays)
        if mine is not None and theirs is not None:
            matcher.match(*mine.common(theirs), mine.at_edge, theirs.at_edge)

    def remove(self) -> None:
        """Forget all tiles."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self, index: Place) -> Any:
        try:
            return np.load(self._file(index), allow_pickle=False)
        except OSError as error:
            raise TinctureError(
                f"The temporary file {self._file(index)} with the objects of a tile cannot be "
                f"read: {error}. Is a program deleting temporary files? Set TMPDIR to another "
                "folder, and call again."
            ) from error

    def _file(self, index: Place) -> Path:
        return self._folder / f"{index[0]}-{index[1]}.npz"


def _before(index: Place) -> list[tuple[Place, str]]:
    """Neighbours that come before a tile, and on which side of it they lie."""
    i, j = index
    return [((i - 1, j), "top")] * (i > 0) + [((i, j - 1), "left")] * (j > 0)


def _rim(side: str, arrays: Any) -> Rim | None:
    if f"{side}-place" not in arrays:
        return None
    axis, before, after = arrays[f"{side}-place"].tolist()
    edge = frozenset(arrays[f"{side}-edge"].tolist())
    return Rim(_unpacked(side, arrays), axis, before, after, edge)


def _packed(name: str, labels: Labels) -> dict[str, npt.NDArray[Any]]:
    """Compress labels as places in a short list of numbers."""
    numbers, where = np.unique(labels, return_inverse=True)
    small = where.astype(np.uint16 if len(numbers) <= 2**16 else np.uint32)
    return {
        f"{name}-numbers": numbers,
        f"{name}-shape": np.array([*labels.shape, small.itemsize]),
        f"{name}-where": np.frombuffer(_codec().encode(small), np.uint8),
    }


def _unpacked(name: str, arrays: Any) -> Labels:
    *shape, size = arrays[f"{name}-shape"].tolist()
    where = np.frombuffer(_codec().decode(arrays[f"{name}-where"]), f"u{size}")
    result: Labels = arrays[f"{name}-numbers"][where].reshape(shape)
    return result


def _codec() -> Any:
    from numcodecs import Blosc

    return Blosc(cname="zstd", clevel=1, shuffle=Blosc.SHUFFLE)
