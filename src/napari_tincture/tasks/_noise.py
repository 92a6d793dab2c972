"""Maps of noise for models that take it: the same at a place, however the image is read."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_tincture.raster import Raster

SIDE = 256
"""Of the squares that are drawn together, in pixels."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Draws a square of standard normal noise from a seed, its name and its place."""

    seed: int
    name: str
    origin: tuple[int, ...]
    shape: tuple[int, int]

    def __call__(self, block_id: Sequence[int]) -> npt.NDArray[np.float32]:
        """Values of a block; of smaller ones at the far border those of a whole one."""
        *leading, y, x = block_id
        plane = [i + start for i, start in zip(leading, self.origin, strict=True)]
        words = [self.seed, zlib.crc32(self.name.encode()), *plane, y, x]
        square = np.random.default_rng(words).standard_normal((SIDE, SIDE), np.float32)
        height, width = (min(n - i * SIDE, SIDE) for n, i in zip(self.shape, (y, x), strict=True))
        return square[(None,) * len(leading) + (slice(height), slice(width))]


def noise(image: Raster, name: str, seed: int, outer: Mapping[str, slice]) -> Raster:
    """Standard normal noise on the grid of an image, drawn where it is read.

    Parameters
    ----------
    image
        Gives the size along t, z, y and x, and the placement.
    name
        Of the channel; every one has noise of its own.
    seed
        Of all.
    outer
        What was cut out of the original along t and z: a crop's noise is the original's.

    Returns
    -------
    Raster
        (t, z, y, x) as far as the image has them, float32.
    """
    axes = image.axes.replace("c", "")
    leading = axes[:-2]
    origin = tuple(outer[axis].start if axis in outer else 0 for axis in leading)
    sizes = image.sizes
    shape = tuple(sizes[axis] for axis in axes)
    chunks = da.core.normalize_chunks((*(1,) * len(leading), SIDE, SIDE), shape)
    draw = Drawn(seed, name, origin, (sizes["y"], sizes["x"]))
    array = da.map_blocks(
        draw,
        chunks=chunks,
        dtype=np.float32,
        meta=np.empty((0,) * len(axes), np.float32),
        name=f"noise-{uuid.uuid4().hex}",
    )
    placement = image.placement
    if "c" in image.axes:
        placement = placement.drop(image.axes.index("c"))
    return Raster(levels=(array,), axes=axes, placement=placement, name=name)
