"""The arrays of a pyramid in a zarr group, written shard by shard, each once and to the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from napari_tincture.durable import flush_file, flush_folder, flush_tree
from napari_tincture.io.layout import Key, Layout
from napari_tincture.io.pyramid import downsample
from napari_tincture.raster import Raster

Record = dict[str, Any]
"""What is known of a finished shard: ``bytes`` in files, ``extremes`` per channel at level 0."""
Version = Literal["0.5", "0.4"]
METADATA = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs"})
"""Names of the files in which zarr keeps metadata."""


class PyramidStore:
    """Arrays ``0``, ``1``, … of a zarr group in a local folder.

    Parameters
    ----------
    folder
        The group.
    layout
        How it is divided.
    kind
        Of the pixels; says how they are halved.
    channels
        Position of the channel axis, -1 without one.
    """

    def __init__(
        self, folder: Path, layout: Layout, kind: Literal["image", "labels"], channels: int
    ) -> None:
        import zarr

        self.folder, self.layout = folder, layout
        self._kind: Literal["image", "labels"] = kind
        self._channels = channels
        group = zarr.open_group(folder, mode="r+")
        self.arrays: list[Any] = [group[str(level)] for level in range(len(layout.shapes))]

    @classmethod
    def create(cls, folder: Path, layout: Layout, raster: Raster, version: Version) -> Self:
        """Make the group and its empty arrays, in the zarr format of the OME-Zarr version."""
        import zarr

        sharded = version == "0.5"
        dtype = raster.dtype
        if raster.kind == "labels" and dtype.kind == "b":
            dtype = np.dtype(np.uint8)  # labels of OME-Zarr are integers
        group = zarr.create_group(folder, zarr_format=3 if sharded else 2, overwrite=True)
        for level, shape in enumerate(layout.shapes):
            options: dict[str, Any] = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
            if sharded:
                shard = layout.shard_at(level)
                options = {"shards": shard, "dimension_names": list(raster.axes)}
            group.create_array(
                str(level), shape=shape, chunks=layout.chunk, dtype=dtype, fill_value=0,
                compressors=_codec(dtype, sharded=sharded), **options,
            )  # fmt: skip
        flush_tree(folder, METADATA)
        return cls(folder, layout, raster.kind, raster.axes.find("c"))

    def put(self, key: Key, values: npt.NDArray[Any]) -> Record:
        """Write a whole shard; when this returns it is on the disk."""
        for left in list(self._files(key)):
            left.unlink()  # a power failure may have left half of it under its name
        self.arrays[key[0]][self.layout.place(key)] = values
        files = list(self._files(key))
        for file in files:
            flush_file(file)
        for folder in {p for file in files for p in file.parents if self.folder in p.parents}:
            flush_folder(folder)
        record: Record = {"bytes": sum(file.stat().st_size for file in files)}
        if key[0] == 0:
            record["extremes"] = self._extremes(values)
        return record

    def build(self, key: Key) -> Record:
        """Write a shard of an upper level, made of the finished ones below."""
        start = [s.start for s in self.layout.place(key)]
        result: npt.NDArray[Any] = np.empty(
            [s.stop - s.start for s in self.layout.place(key)], self.arrays[key[0]].dtype
        )
        for child in self.layout.children(key):
            below = self.layout.place(child)
            half = downsample(np.asarray(self.arrays[child[0]][below]), self._kind)
            corner = [*(s.start for s in below[:-2]), *(s.start // 2 for s in below[-2:])]
            result[
                tuple(
                    slice(a - b, a - b + n)
                    for a, b, n in zip(corner, start, half.shape, strict=True)
                )
            ] = half
        return self.put(key, result)

    def holds(self, key: Key, record: Record) -> bool:
        """Tell whether a shard is there as it was recorded."""
        return sum(file.stat().st_size for file in self._files(key)) == int(record["bytes"])

    def sweep(self) -> None:
        """Remove what a kill left in the middle of a write."""
        for leftover in self.folder.rglob("*.partial"):
            leftover.unlink(missing_ok=True)

    def _files(self, key: Key) -> Iterator[Path]:
        """Files of a shard that exist: one, or its chunks where there are no shards."""
        array = self.arrays[key[0]]
        unit: Sequence[int] = array.shards or array.chunks
        along = [
            range(s.start // side, -(-s.stop // side))
            for s, side in zip(self.layout.place(key), unit, strict=True)
        ]
        for number in product(*along):
            file = self.folder / array.path / array.metadata.encode_chunk_key(number)
            if file.is_file():
                yield file

    def _extremes(self, values: npt.NDArray[Any]) -> list[list[float] | None]:
        """Least and greatest finite value of each channel of a shard."""
        parts = [values] if self._channels < 0 else np.moveaxis(values, self._channels, 0)
        return [_range(part) for part in parts]


def _range(values: npt.NDArray[Any]) -> list[float] | None:
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = values[np.isfinite(values)]
        if not finite.size:
            return None
        low, high = finite.min(), finite.max()
    return [low.item(), high.item()]


def _codec(dtype: np.dtype[Any], *, sharded: bool) -> Any:
    size = dtype.itemsize
    if not sharded:
        from numcodecs import Blosc

        shuffle = Blosc.BITSHUFFLE if size == 1 else Blosc.SHUFFLE
        return Blosc(cname="zstd", clevel=3, shuffle=shuffle)
    from zarr.codecs import BloscCodec, BloscShuffle

    kind = BloscShuffle.bitshuffle if size == 1 else BloscShuffle.shuffle
    return BloscCodec(cname="zstd", clevel=3, shuffle=kind, typesize=size)
