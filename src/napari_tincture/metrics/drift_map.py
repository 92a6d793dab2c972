"""A small picture of an image's intensity drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.drift import PARABOLOID, Moments, fit
from napari_tincture.metrics.metric import Block, State, Statistic
from napari_tincture.metrics.stream import Survey, survey
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid

FloatArray = npt.NDArray[np.float64]
CELLS = 64
"""Most cells along an axis."""


@dataclass(frozen=True)
class Cells(Statistic):
    """Of a coarse grid over the plane: pixels and their sum in each cell."""

    alone = True

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 2 · cells), all pixels that count in region 0."""
        sides = [side_of_cell(n) for n in block.shape]
        grid = [-(-n // s) for n, s in zip(block.shape, sides, strict=True)]
        rows = np.zeros((block.count, 2 * grid[0] * grid[1]))
        values = block.image[block.core].astype(np.float64)
        used = (
            np.ones(values.shape) if block.regions is None else (block.regions >= 0).astype(float)
        )
        counts, sums = rows[0].reshape(2, *grid)
        starts, which = [], []
        for place, side in zip(block.place, sides, strict=True):
            cells = np.arange(place.start, place.stop) // side
            first = np.flatnonzero(np.diff(cells, prepend=-1))
            starts.append(first)
            which.append(cells[first])
        for into, part in ((counts, used), (sums, used * values)):
            if part.size:
                down = np.add.reduceat(part, starts[0], axis=0)
                into[np.ix_(*which)] = np.add.reduceat(down, starts[1], axis=1)
        return rows


def side_of_cell(length: int) -> int:
    """Pixels along a cell's side, where a plane has so many."""
    return -(-length // CELLS)


def drift_map(
    image: Raster,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Raster:
    """Picture the drift of a plane of any size: means of blocks, and the paraboloid through it.

    Parameters
    ----------
    image : Raster
        (y, x), or (c, y, x) of which each channel is pictured.
    progress, cancel
        As everywhere.

    Returns
    -------
    Raster
        (c, y, x) float32, at most 64 × 64 cells, in the place of the image. For each of its
        channels the mean of the pixels of each cell (NaN where there are none) and the value of the
        fitted paraboloid at the cell's middle, in the units of the values.

    Raises
    ------
    InputError
        If the image has t or z.
    Undefined
        If no paraboloid fits.
    Cancelled
        If `cancel` was raised.
    """
    if set(image.axes) - set("cyx"):
        raise InputError(
            f"A drift is pictured of a plane, and image {image.name!r} has axes {image.axes!r}; "
            "take one plane, image.plane(t=…, z=…)."
        )
    shape = image.shape[-2], image.shape[-1]
    cells, moments = Cells(), Moments()
    channels = range(image.sizes.get("c", 1))
    plan = Survey(
        shape=shape, images=[OnGrid(image, np.eye(3), shape)], reference=None, channels=channels,
        statistics=[cells, moments], data_range=1.0,
        chunks=(image.data.chunks[-2], image.data.chunks[-1]),
    )  # fmt: skip
    tally = survey(plan, as_callback(progress), cancel or CancelToken())
    rows = {(key.channel, key.statistic): row[0] for key, row in tally.rows.items()}
    pictures = [
        picture for c in channels for picture in _pictures(rows[c, cells], rows[c, moments], shape)
    ]
    return _raster(image, np.stack(pictures).astype(np.float32), channels)


def _pictures(
    cells: FloatArray, moments: FloatArray, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Means and fit of one channel; (y, x) each."""
    surface = fit(moments, PARABOLOID)
    middles: list[FloatArray] = []
    for length, (first, last) in zip(shape, moments[:4].reshape(2, 2), strict=True):
        starts = np.arange(0, length, side_of_cell(length))
        stops = np.minimum(starts + side_of_cell(length), length)
        middles.append(((starts + stops - 1) - (first + last)) / (last - first))
    fitted = np.asarray(
        np.polynomial.polynomial.polygrid2d(middles[0], middles[1], surface), np.float64
    )
    counts, sums = cells.reshape(2, *fitted.shape)
    means = np.divide(sums, counts, out=np.full(fitted.shape, np.nan), where=counts > 0)
    return means, fitted


def _raster(image: Raster, pictures: npt.NDArray[np.float32], channels: Sequence[int]) -> Raster:
    names = image.channels or tuple(f"channel {c}" if len(channels) > 1 else "" for c in channels)
    placement = image.placement if "c" in image.axes else image.placement.insert(0, "c")
    sides = [side_of_cell(n) for n in image.shape[-2:]]
    return Raster.from_array(
        pictures, "cyx", placement=placement.level([1, *sides]), name=f"{image.name} drift".strip(),
        channels=tuple(f"{name} {what}".strip() for name in names for what in ("mean", "fit")),
    )  # fmt: skip
