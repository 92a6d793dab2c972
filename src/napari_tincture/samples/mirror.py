"""Images repeated by mirroring to any size, made when they are read."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import as_dask
from napari_tincture.io.pyramid import downsample, level_shapes
from napari_tincture.raster import Raster

LOWEST = 1024
"""Pyramid levels are made down to this side in pixels."""


def mirrored(raster: Raster, size: int) -> Raster:
    """Repeat an image to `size` × `size` pixels, every second copy mirrored.

    Pyramid levels are those of the mirrored image: halving and mirroring commute while the
    sides of the image are even.

    Parameters
    ----------
    raster : Raster
        A small image; it is read once, when a block is first asked for.
    size : int
        New side in y and x.
    """
    base = _Base(raster)
    shapes = level_shapes((*raster.shape[:-2], size, size), LOWEST)[: base.depth]
    levels = tuple(
        as_dask(Mirror(base, level, shape), raster.axes) for level, shape in enumerate(shapes)
    )
    return replace(raster, levels=levels, source=None, runner=None)


class Mirror:
    """One level of a mirrored image, as an array."""

    def __init__(self, base: _Base, level: int, shape: tuple[int, ...]) -> None:
        self._base, self._level = base, level
        self.shape, self.ndim, self.dtype = shape, len(shape), base.raster.dtype

    def __getitem__(self, index: tuple[slice, ...]) -> npt.NDArray[Any]:
        values = self._base.level(self._level)[index[:-2]]
        rows, columns = (
            mirror_index(np.arange(s.start or 0, n if s.stop is None else s.stop), side)
            for s, n, side in zip(index[-2:], self.shape[-2:], values.shape[-2:], strict=True)
        )
        return values[..., rows, :][..., columns]


def mirror_index(position: npt.NDArray[np.int_], side: int) -> npt.NDArray[np.int_]:
    """Map positions of the mirrored image to those of the image, whose border pixels repeat."""
    folded = position % (2 * side)
    return np.minimum(folded, 2 * side - 1 - folded)


class _Base:
    """The small image and its halved copies, read once for all levels."""

    def __init__(self, raster: Raster) -> None:
        self.raster = raster
        self._levels: list[npt.NDArray[Any]] = []
        self._lock = threading.Lock()

    @property
    def depth(self) -> int:
        """How often y and x can be halved, plus one."""
        y, x = self.raster.shape[-2:]
        common = int(np.gcd(y, x))
        return (common & -common).bit_length()

    def level(self, level: int) -> npt.NDArray[Any]:
        with self._lock:
            if not self._levels:
                self._levels.append(np.asarray(self.raster))
            while len(self._levels) <= level:
                self._levels.append(downsample(self._levels[-1], self.raster.kind))
            return self._levels[level]

    def __reduce__(self) -> tuple[Any, ...]:
        return _Base, (self.raster,)
