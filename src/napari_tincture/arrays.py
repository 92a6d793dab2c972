"""Any array as a lazy dask array in canonical axes, without copying or reading it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_tincture import axes as ax
from napari_tincture.errors import InputError

if TYPE_CHECKING:
    import dask.array as da

Index = tuple[slice, ...]

BLOCK = 1024
"""Side in pixels of the blocks into which arrays with small chunks or none are divided."""

_CUTS: dict[str, list[tuple[Any, tuple[Any, ...]]]] = {}
# A collected array is forgotten in whatever thread, which may hold the lock itself.
_CUTS_LOCK = threading.RLock()
_MEMORY: weakref.WeakValueDictionary[str, npt.NDArray[Any]] = weakref.WeakValueDictionary()


class _Source:
    """An array as dask is given it: no copy is made, windows come in native byte order.

    ``dask.array.from_array`` copies whatever has a ``copy`` method, memory maps included.
    """

    __slots__ = ("array", "axes", "dtype", "ndim", "shape", "target")

    def __init__(self, array: Any, axes: str, target: str) -> None:
        self.array = array
        self.axes, self.target = axes, target
        self.shape = tuple(int(array.shape[axes.index(a)]) for a in target)
        self.ndim = len(self.shape)
        self.dtype = _native(array.dtype)

    def stored(self, position: int) -> int:
        """Length of the chunks along an axis of `target`; 0 where it is not known."""
        chunks = getattr(self.array, "chunks", None)
        own = chunks[self.axes.index(self.target[position])] if chunks else 0
        return own if isinstance(own, int) else 0

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        """Read a window; dask may ask for single planes or lists of them as well as slices."""
        keys = index if isinstance(index, tuple) else (index,)
        keys += (slice(None),) * (self.ndim - len(keys))
        bounds, rest = zip(*map(_split_key, keys, self.shape), strict=True)
        window = self.array[tuple(bounds[self.target.index(a)] for a in self.axes)]
        window = ax.reorder(np.asarray(window), self.axes, self.target)[rest]
        return np.ascontiguousarray(window, self.dtype)


def _split_key(key: Any, size: int) -> tuple[slice, Any]:
    """Split an index into the slice without step that must be read, and the index within it."""
    if isinstance(key, slice):
        places = range(size)[key]
        if places.step == 1 or not places:
            return slice(places.start, max(places.start, places.stop)), slice(None)
        return slice(min(places), max(places) + 1), slice(None, None, places.step)
    chosen = np.arange(size)[key]
    if chosen.size == 0:
        return slice(0, 0), chosen
    first = int(chosen.min())
    return slice(first, int(chosen.max()) + 1), chosen - first


def as_dask(array: Any, axes: str) -> da.Array:
    """Wrap any array lazily, in canonical axes and native byte order.

    Parameters
    ----------
    array : array-like
        numpy, dask, zarr, or anything with shape, dtype, ndim and ``__getitem__`` for slices.
        Its dtype is bool, integer or float of at most 64 bits.
    axes : str
        Axes of `array`, validated.

    Raises
    ------
    InputError
        If the data type cannot be used.
    """
    import dask.array as da

    check_dtype(np.dtype(array.dtype))
    if any(n != n for n in array.shape):
        raise InputError(
            "A dask array of unknown shape cannot be used; call array.compute_chunk_sizes() first."
        )
    target = ax.canonical(axes)
    if isinstance(array, da.Array):
        ordered: da.Array = ax.reorder(array, axes, target)
        return ordered if ordered.dtype.isnative else _natively(ordered)
    blocks = _blocks(axes, array.shape, getattr(array, "chunks", None))
    chunks = tuple(blocks[axes.index(a)] for a in target)
    if isinstance(array, np.ndarray):
        array, axes = ax.reorder(array, axes, target), target
    source = _Source(array, axes, target)
    meta = np.empty((0,) * source.ndim, source.dtype)
    result: da.Array = da.from_array(source, chunks=chunks, name=False, meta=meta)
    if isinstance(array, np.ndarray) and array.dtype.isnative:
        _MEMORY[result.name] = array
    return result


def memory_of(array: da.Array) -> npt.NDArray[Any] | None:
    """Give the numpy array that `as_dask` wrapped, in canonical axes; None if there is none."""
    return _MEMORY.get(array.name)


def cut(array: da.Array, index: tuple[Any, ...]) -> da.Array:
    """Cut a part out of an array, from which another, or what `read` gives, is cut in one step.

    Parameters
    ----------
    array : dask.array.Array
        Any; results of this function are known by their name.
    index : tuple
        A slice without negative places, or an int, per axis.
    """
    base, whole = _fused(array, index)
    result: da.Array = base[whole]
    if result is not base:
        with _CUTS_LOCK:
            _CUTS.setdefault(result.name, []).append((base, whole))
        weakref.finalize(result, _forget_cut, result.name)
    return result


def read(
    array: da.Array, index: tuple[Any, ...], compute: Callable[[da.Array], npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Read a part of an array into memory of its own, C-contiguous.

    What lies in memory is copied without dask, whose plans take longer than small windows.
    Elsewhere the two cuts are one: dask fuses one slicing with the reading of a source, but not
    two, and of a part of a part would read whole blocks.

    Parameters
    ----------
    array, index
        As in `cut`.
    compute : callable
        `in_memory` or `in_this_thread`, for what does not lie in memory.
    """
    base, whole = _fused(array, index)
    memory = memory_of(base)
    return compute(base[whole]) if memory is None else np.array(memory[whole], order="C")


def _fused(array: da.Array, index: tuple[Any, ...]) -> tuple[da.Array, tuple[Any, ...]]:
    from dask.array.optimization import fuse_slice

    base, before = _origin_of(array)
    return base, index if before is None else fuse_slice(before, index)


def _origin_of(array: da.Array) -> tuple[da.Array, tuple[Any, ...] | None]:
    """What an array was cut out of, and where; the array itself and None if it was not."""
    with _CUTS_LOCK:
        found = _CUTS.get(array.name)
        return found[-1] if found else (array, None)


def _forget_cut(name: str) -> None:
    # The same part cut out twice has the same name: each of them holds the entry.
    with _CUTS_LOCK:
        _CUTS[name].pop()
        if not _CUTS[name]:
            del _CUTS[name]


def stored_edges(array: da.Array, position: int) -> list[int]:
    """Where the pieces in which an array is stored begin along an axis, and where the last ends.

    Parameters
    ----------
    array : dask.array.Array
        In canonical axes.
    position : int
        Of the axis.

    Returns
    -------
    list of int
        The source's chunks where they are known, else dask's blocks.
    """
    base, index = _origin_of(array)
    if index is not None:
        kept = [number for number, choice in enumerate(index) if isinstance(choice, slice)]
        start, stop, _ = index[kept[position]].indices(base.shape[kept[position]])
        inner = [edge for edge in stored_edges(base, kept[position]) if start < edge < stop]
        return [0, *(edge - start for edge in inner), stop - start]
    layer = getattr(array.dask, "layers", {}).get(f"original-{array.name}", {})
    source = next(iter(layer.values()), None)
    source = getattr(source, "value", source)
    if isinstance(source, _Source) and (side := source.stored(position)):
        return [*range(0, array.shape[position], side), array.shape[position]]
    return [0, *map(int, np.cumsum(array.chunks[position]))]


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Refuse what no network can use: complex, object, text, and longer than 64 bits."""
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise InputError(
            f"Images of data type {dtype} cannot be used; bool, integer or float up to 64 bits "
            "can. Convert it first, for example with np.abs() for complex values."
        )


def block_slices(array: da.Array) -> list[Index]:
    """List the blocks of a dask array as slices, the last axis fastest."""
    from dask.array.core import slices_from_chunks

    return list(slices_from_chunks(array.chunks))


def in_memory(array: da.Array) -> npt.NDArray[Any]:
    """Compute an array in this process, also where the user has a cluster; C-contiguous."""
    from dask import threaded

    # By its name, dask looks for a cluster first: it imports distributed, for a second.
    return np.ascontiguousarray(array.compute(scheduler=threaded.get))


def in_this_thread(array: da.Array) -> npt.NDArray[Any]:
    """Compute an array in this very thread."""
    from dask.local import get_sync

    return np.asarray(array.compute(scheduler=get_sync))


def clipped(
    write: Callable[[Index, npt.NDArray[Any]], None], area: Index
) -> Callable[[Index, npt.NDArray[Any]], None]:
    """Pass on of every block only what lies in an area that it touches."""

    def within(index: Index, block: npt.NDArray[Any]) -> None:
        pairs = list(zip(index, area, strict=True))
        common = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in pairs)
        part = tuple(
            slice(c.start - i.start, c.stop - i.start) for c, i in zip(common, index, strict=True)
        )
        write(common, block[part])

    return within


def _native(dtype: Any) -> np.dtype[Any]:
    native: np.dtype[Any] = np.dtype(dtype).newbyteorder("=")
    return native


def _natively(array: da.Array) -> da.Array:
    converted: da.Array = array.astype(_native(array.dtype))
    return converted


def _blocks(axes: str, shape: Sequence[int], own: Any) -> tuple[int, ...]:
    """Choose blocks: single planes with all channels, of whole chunks of the source."""
    if own is None or not all(isinstance(n, (int, np.integer)) and n > 0 for n in own):
        own = (1,) * len(axes)
    wanted = {"y": BLOCK, "x": BLOCK}
    return tuple(
        min(max(wanted.get(a, n if a == "c" else 1) // c, 1) * c, n) or 1
        for a, n, c in zip(axes, map(int, shape), map(int, own), strict=True)
    )


def spanning(
    values: npt.NDArray[np.float32], dtype: np.dtype[Any], limits: tuple[float, float]
) -> npt.NDArray[Any]:
    """Give values a data type; `limits` become the least and greatest value of integers."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    low, high = limits
    top = np.iinfo(dtype).max
    scaled = (values - low) * (top / (high - low))
    result: npt.NDArray[Any] = np.clip(np.rint(scaled), 0, top).astype(dtype)
    return result
