"""Maps of metrics: lazy images on the reference's grid, computed where they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Block, Metric, in_one_type
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid
from napari_tincture.tasks._areas import on_grid
from napari_tincture.tasks._pairs import luminance_of

SIDE = 512
"""Of a block, in pixels."""


def map_of(
    metric: Metric, column: str, image: Raster, reference: Raster, data_range: float, name: str,
    *, luminance: bool = False,
) -> Raster:  # fmt: skip
    """The map of one column of a metric: float32, NaN where the image has no pixel.

    Parameters
    ----------
    image, reference
        Images that `compare` accepts.
    luminance
        Whether it is of the luminance of colours.

    Returns
    -------
    Raster
        With the reference's axes; without c for metrics of colours, and of luminance.
    """
    import dask.array as da

    flat = (metric.statistic.colour or luminance) and "c" in reference.axes
    grid = reference.plane(c=0) if flat else reference
    maker = _Maker(metric, column, image, reference, data_range, luminance)
    chunks = [(1,) * n for n in grid.shape[:-2]] + [_cut(n) for n in grid.shape[-2:]]
    array = da.map_blocks(
        maker, chunks=tuple(chunks), dtype=np.float32, meta=np.empty((0,) * grid.ndim, np.float32),
        axes=grid.axes,
    )  # fmt: skip
    limits = {"ssim": [0.0, 1.0]}.get(column.partition("_")[0])
    return Raster(
        levels=(array,), axes=grid.axes, placement=grid.placement, name=f"{name} {column}",
        channels=grid.channels if "c" in grid.axes else (), order=grid.axes,
        display={} if limits is None else {"limits": [limits] * grid.sizes.get("c", 1)},
        provenance={
            "task": "compare", "metric": column, "data_range": data_range, "image": name,
            "reference": reference.name,
        },
    )  # fmt: skip


def _cut(side: int) -> tuple[int, ...]:
    return tuple(min(SIDE, side - start) for start in range(0, side, SIDE))


class _Maker:
    """Computes blocks of a map."""

    def __init__(
        self, metric: Metric, column: str, image: Raster, reference: Raster, data_range: float,
        luminance: bool,
    ) -> None:  # fmt: skip
        self._luminance = luminance and not metric.statistic.colour
        self._metric, self._column, self._range = metric, column, data_range
        self._image, self._reference = image, reference
        self._planes: dict[tuple[int, ...], tuple[OnGrid, OnGrid]] = {}

    def __call__(self, block_id: Sequence[int] | None = None, axes: str = "") -> npt.NDArray[Any]:
        if block_id is None:  # dask asks for the type of a result
            return np.empty((0,) * len(axes), np.float32)
        where = dict(zip(axes, block_id, strict=True))
        height, width = self._reference.shape[-2:]
        place = tuple(
            slice(where[axis] * SIDE, min((where[axis] + 1) * SIDE, n))
            for axis, n in (("y", height), ("x", width))
        )
        plane = {axis: where[axis] for axis in axes if axis in "tz"}
        values = self._values(plane, where.get("c"), (place[0], place[1]))
        return values.reshape((1,) * (len(axes) - 2) + values.shape)

    def _values(
        self, plane: dict[str, int], channel: int | None, place: tuple[slice, slice]
    ) -> npt.NDArray[np.float32]:
        margin = self._metric.map_margin
        shape = self._reference.shape[-2:]
        around = tuple(
            slice(max(s.start - margin, 0), min(s.stop + margin, n))
            for s, n in zip(place, shape, strict=True)
        )
        core = tuple(
            slice(s.start - a.start, s.stop - a.start) for s, a in zip(place, around, strict=True)
        )
        image, reference = self._grids(plane)
        a, valid = image((around[0], around[1]))
        b, _ = reference((around[0], around[1]))
        if self._luminance:
            a, b = luminance_of(a), luminance_of(b)
        if not self._metric.statistic.colour:
            a, b = a[channel or 0], b[channel or 0]
        block = Block(
            *in_one_type(a, b), (core[0], core[1]), place, (shape[0], shape[1]), self._range
        )
        result = np.array(self._metric.map(block)[self._column], np.float32)
        if valid is not None:
            result[~valid[core]] = np.nan
        return result

    def _grids(self, plane: dict[str, int]) -> tuple[OnGrid, OnGrid]:
        key = tuple(plane.values())
        if key not in self._planes:
            grid, image = (
                raster.plane(**{a: i for a, i in plane.items() if a in raster.axes})
                for raster in (self._reference, self._image)
            )
            self._planes[key] = on_grid(image, grid), on_grid(grid, grid)
        return self._planes[key]
