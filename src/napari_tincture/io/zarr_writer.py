"""Rasters as OME-Zarr 0.5 (zarr format 3), all pyramid levels in one pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.io import own_metadata
from napari_tincture.io.ome_metadata import ome_metadata
from napari_tincture.io.output import appearing, remove, writing
from napari_tincture.io.pyramid import PyramidWriter, level_shapes
from napari_tincture.raster import Index, Raster, Write

Stream = Callable[[Write], Mapping[str, Any] | None]
"""Calls what it is given with blocks that cover level 0 once; see `Raster.stream`."""

CHUNK = 512
"""Side in pixels of chunks where the raster's own blocks do not suit, and of the last level."""


def write_ome_zarr(raster: Raster, stream: Stream, path: Path, *, overwrite: bool = False) -> Path:
    """Write an image or label map.

    Parameters
    ----------
    raster : Raster
        Gives shape, dtype, axes, placement, names and provenance; its pixels are not read.
    stream : callable
        Gives the pixels: ``lambda write: raster.stream(write)``. Blocks come in any order and of
        any size. Facts that it returns are added to the provenance.
    path : Path
        Of the folder to be made.
    overwrite : bool
        Whether an existing zarr store is replaced, once the new one is complete.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        If it exists, cannot be written, or the disk is full. Nothing is left behind.

    Warns
    -----
    UserWarning
        If it is rotated, sheared or has another affine: OME-Zarr 0.5 cannot say so. Our reader
        restores it, other programs do not see it.
    """
    if own_metadata.is_rotated(raster.placement):
        warnings.warn(
            f"{path.name}: OME-Zarr 0.5 holds no rotation, shear or affine. They are kept in "
            "attributes of our own, which napari-tincture restores; other programs will show "
            "the image without them.",
            stacklevel=2,
        )
    stem = path.name.removesuffix(".zarr").removesuffix(".ome")
    raster = replace(raster, name=raster.name or stem)
    with appearing(path, overwrite=overwrite) as temporary:
        facts = write_pyramid(raster, stream, temporary, path)
        with writing(path):
            _write_metadata(raster, temporary, facts)
    return path


class Facts(dict[str, Any]):
    """What is known of a raster after its pixels were written: run, level shapes, extremes."""


def write_pyramid(raster: Raster, stream: Stream, folder: Path, path: Path) -> Facts:
    """Write the arrays ``0``, ``1``, … of all levels into a zarr group without metadata."""
    chunk = chunk_shape(raster)
    shapes = level_shapes(raster.shape, CHUNK)
    scratch = folder.with_suffix(".scratch")
    extremes = _Extremes(raster)
    try:
        with writing(path):
            scratch.mkdir()
            arrays = _create_arrays(raster, folder, shapes, chunk)
        writer = PyramidWriter(arrays, chunk, raster.kind, scratch)

        def write(index: Index, block: npt.NDArray[Any]) -> None:
            extremes.add(index, block)
            with writing(path):
                writer.write(index, block)

        run = stream(write)
        writer.finish()
    finally:
        remove(scratch)
    return Facts(run=dict(run or {}), shapes=shapes, extremes=extremes.found)


def chunk_shape(raster: Raster) -> tuple[int, ...]:
    """Choose the chunks: the blocks of the raster if they suit, in single planes and channels."""
    divided = [max(blocks) for blocks in raster.data.chunks[-2:] if len(blocks) > 1]
    good = all(128 <= side <= 2048 and side % 2 == 0 for side in divided)
    wanted = divided * (3 - len(divided)) if good and divided else [CHUNK, CHUNK]
    sides = [min(side, n + n % 2) for side, n in zip(wanted, raster.shape[-2:], strict=False)]
    c = raster.sizes.get("c", 1) if raster.rgb else 1
    rest = tuple(c if axis == "c" else 1 for axis in raster.axes[:-2])
    return (*rest, *sides)


def _create_arrays(
    raster: Raster, folder: Path, shapes: Sequence[tuple[int, ...]], chunk: tuple[int, ...]
) -> list[Any]:
    import zarr
    from zarr.codecs import BloscCodec, BloscShuffle

    group = zarr.create_group(folder, zarr_format=3)
    size = raster.dtype.itemsize
    shuffle = BloscShuffle.bitshuffle if size == 1 else BloscShuffle.shuffle
    codec = BloscCodec(cname="zstd", clevel=3, shuffle=shuffle, typesize=size)
    return [
        group.create_array(
            str(level), shape=shape, chunks=chunk, dtype=raster.dtype, compressors=codec,
            fill_value=0, dimension_names=list(raster.axes),
        )
        for level, shape in enumerate(shapes)
    ]  # fmt: skip


class _Extremes:
    """Least and greatest finite value per channel, found while blocks pass."""

    def __init__(self, raster: Raster) -> None:
        self._c = raster.axes.find("c")
        self.found: dict[int, tuple[float, float]] = {}

    def add(self, index: Index, block: npt.NDArray[Any]) -> None:
        first = index[self._c].start if self._c >= 0 else 0
        parts = [block] if self._c < 0 else np.moveaxis(block, self._c, 0)
        for channel, part in enumerate(parts, start=first):
            low, high = part.min(), part.max()
            if not (np.isfinite(low) and np.isfinite(high)):
                finite = part[np.isfinite(part)]
                if not finite.size:
                    continue
                low, high = finite.min(), finite.max()
            before = self.found.get(channel, (low, high))
            self.found[channel] = (min(before[0], low), max(before[1], high))


def _write_metadata(raster: Raster, folder: Path, facts: Facts) -> None:
    import zarr

    group = zarr.open_group(folder, mode="r+")
    group.attrs.update(
        {
            **ome_metadata(raster, facts["shapes"], facts["extremes"]),
            own_metadata.KEY: own_metadata.to_json(raster, facts["run"]),
        }
    )
