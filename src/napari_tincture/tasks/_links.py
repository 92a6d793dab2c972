"""Which objects of neighbouring planes are one, and a raster that numbers them so."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import Index
from napari_tincture.durable import flush_file
from napari_tincture.errors import TinctureError
from napari_tincture.metrics.labels.matches import match
from napari_tincture.metrics.labels.overlap import Overlap, measure
from napari_tincture.metrics.labels.stream import Pile
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.raster import Raster
from napari_tincture.tiling.object_tiles import Names

if TYPE_CHECKING:
    import dask.array as da

Plane = tuple[int, ...]
"""Place along the axes t and z that the labels have, in this order."""


class Links:
    """Numbers of a stack's objects, found plane after plane.

    Of two planes only the table of common pixels is kept, block by block.

    Parameters
    ----------
    labels
        (t, z, y, x) without channels, with `axis`; the numbers of one plane mean nothing to the
        next.
    axis
        Along which neighbours are linked.
    least
        Intersection over union, as `match` takes it.
    """

    def __init__(self, labels: Raster, axis: str, least: float) -> None:
        self.labels, self.axis, self.least = labels, axis, least
        self.leading = labels.axes[:-2]
        self._names: dict[Plane, Names] = {}
        self._lock = threading.Lock()

    @property
    def planes(self) -> tuple[Plane, ...]:
        """All planes, the last leading axis fastest."""
        return tuple(product(*(range(self.labels.sizes[axis]) for axis in self.leading)))

    @property
    def count(self) -> int:
        """Objects of the planes that were looked at."""
        return max((names.count for names in self._names.values()), default=0)

    def find(self, progress: Progress, cancel: CancelToken) -> None:
        """Look at all planes."""
        planes = self.planes
        for done, plane in enumerate(planes):
            progress(done, len(planes))
            self.names(plane, cancel)
        progress(len(planes), len(planes))

    def names(self, plane: Plane, cancel: CancelToken | None = None) -> Names:
        """Final numbers of a plane's objects; all planes before it are looked at first."""
        with self._lock:
            for earlier in self.planes:
                if earlier not in self._names:
                    self._names[earlier] = self._named(earlier, cancel or CancelToken())
                if earlier == plane:
                    break
            return self._names[plane]

    def read(self, area: Index) -> npt.NDArray[Any]:
        """Numbered labels of a part of the stack."""
        found = self.labels.read(area).astype(np.int64)
        places = [range(s.start, s.stop) for s in area[:-2]]
        for at in product(*map(range, found.shape[:-2])):
            plane = tuple(along[i] for along, i in zip(places, at, strict=True))
            found[at] = self.names(plane).of(found[at])
        return found.astype(number_type(self.labels))

    def save(self, path: Path) -> None:
        """Keep what was found, so that it is there completely or not at all."""
        names = [self._names[plane] for plane in self.planes]
        temporary = path.with_name(f"{uuid.uuid4().hex}.partial")
        with temporary.open("wb") as stream:
            np.savez(
                stream,
                lengths=np.array([len(n.final) for n in names]),
                counts=np.array([n.count for n in names]),
                provisional=np.concatenate([n.provisional for n in names]),
                final=np.concatenate([n.final for n in names]),
            )
        flush_file(temporary)
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Take up what `save` has kept."""
        with np.load(path, allow_pickle=False) as arrays:
            ends = np.cumsum(arrays["lengths"])[:-1]
            parts = (np.split(arrays[name], ends) for name in ("provisional", "final"))
            counts = arrays["counts"].tolist()
            for plane, old, new, count in zip(self.planes, *parts, counts, strict=True):
                self._names[plane] = Names(old, new, count, 0)

    def _named(self, plane: Plane, cancel: CancelToken) -> Names:
        position = self.leading.index(self.axis)
        index = plane[position]
        before = (*plane[:position], index - 1, *plane[position + 1 :]) if index else None
        overlap = self._overlap(plane, before, cancel)
        ids = overlap.found_objects.ids.astype(np.int64)
        final = np.zeros(len(ids), np.int64)
        if before is not None:
            pairs, known = match(overlap, self.least), self._names[before]
            partner = np.searchsorted(known.provisional, pairs.expected_ids.astype(np.int64))
            final[np.searchsorted(ids, pairs.found_ids.astype(np.int64))] = known.final[partner]
        new = final == 0
        so_far = self.count
        final[new] = so_far + 1 + np.arange(np.count_nonzero(new))
        return Names(ids, final, so_far + int(np.count_nonzero(new)), 0)

    def _overlap(self, plane: Plane, before: Plane | None, cancel: CancelToken) -> Overlap:
        """Common pixels of a plane's objects with those of the plane before."""
        pile = Pile()
        for y, x in self._areas():
            cancel.check()
            now = self._block(plane, y, x)
            then = np.zeros_like(now) if before is None else self._block(before, y, x)
            pile.add(measure(now, then)[0])
        return pile.merged()

    def _areas(self) -> Iterator[tuple[slice, slice]]:
        edges = ([0, *np.cumsum(along).tolist()] for along in self.labels.data.chunks[-2:])
        rows, columns = ([slice(*pair) for pair in pairwise(along)] for along in edges)
        return product(rows, columns)

    def _block(self, plane: Plane, y: slice, x: slice) -> npt.NDArray[Any]:
        index = (*(slice(i, i + 1) for i in plane), y, x)
        block = self.labels.read(index)
        return block.reshape(block.shape[-2:])


def number_type(labels: Raster) -> np.dtype[Any]:
    """Wide enough for as many objects as there are pixels."""
    return np.dtype(np.int32 if np.prod(labels.shape, dtype=float) < 2**31 else np.int64)


def linked_lazily(links: Links) -> da.Array:
    """The numbered labels as a dask array of single planes; nothing is computed."""
    import dask.array as da

    labels = links.labels
    single = labels.data.rechunk(dict.fromkeys(range(labels.ndim - 2), 1))
    dtype = number_type(labels)
    return da.map_blocks(  # type: ignore[no-any-return]
        _Numbered(links), single, dtype=dtype, meta=np.empty((0,) * labels.ndim, dtype),
        name=f"linked-{uuid.uuid4().hex}",
    )  # fmt: skip


class _Numbered:
    """What the graph holds in place of what is known of the stack."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def __call__(self, block: npt.NDArray[Any], block_id: Sequence[int]) -> npt.NDArray[Any]:
        names = self._links.names(tuple(block_id[:-2]))
        return names.of(block.astype(np.int64)).astype(number_type(self._links.labels))

    def __reduce__(self) -> NoReturn:
        raise TinctureError(
            "Linked labels cannot be sent to other processes as a dask array: all planes share "
            "what is found in them. Use result.save(path, client=client), or compute with dask's "
            "threaded scheduler."
        )


def silent() -> tuple[Progress, CancelToken]:
    """Nobody listens, and nobody stops."""
    return as_callback(None), CancelToken()
