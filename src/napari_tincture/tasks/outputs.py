"""Several results of one run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_tincture.errors import OutputError
from napari_tincture.io.open import open_image
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tiling.answers import Pick
from napari_tincture.tiling.result import JobRunner


class Outputs(dict[str, Raster]):
    """Rasters by the names of what was asked for, lazy, on one grid.

    Reading places one by one runs the network once for all of them, as long as its results are
    remembered (256 MB); `compute` and `save` run it once whatever their size.

    Parameters
    ----------
    results
        By name.
    together
        Raster of all channels of those that one job gives; None if there are none.
    """

    def __init__(self, results: Mapping[str, Raster], together: Raster | None) -> None:
        super().__init__(results)
        self.together = together

    def compute(
        self, progress: bool | Progress | None = None, cancel: CancelToken | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """All results in memory, each with the axes of its raster, from one run."""
        if self.together is None:
            return {name: raster.compute(progress, cancel) for name, raster in self.items()}
        values = self.together.compute(progress, cancel)
        return {
            name: raster.compute(cancel=cancel)
            if (pick := pick_of(raster)) is None
            else _of(values, self.together.axes.index("c"), pick, "c" in raster.axes)
            for name, raster in self.items()
        }

    def save(
        self,
        folder: str | PathLike[str],
        *,
        progress: bool | Progress | None = None,
        cancel: CancelToken | None = None,
        client: Any = None,
        overwrite: bool = False,
    ) -> dict[str, Path]:
        """Write each result to ``folder/NAME.ome.zarr``, from one run; resumable.

        The run itself is written first, to a file that goes when all are there; the same call
        goes on after a kill.

        Raises
        ------
        OutputError
            If a result is there already and not `overwrite`, or cannot be written.
        """
        target = Path(folder)
        paths = {name: target / f"{name}.ome.zarr" for name in self}
        there = [path.name for path in paths.values() if path.exists()]
        run = target / ".outputs.ome.zarr"
        if there and not overwrite and not run.exists():
            raise OutputError(
                f"{target} holds {', '.join(there)} already. Choose another folder, or pass "
                "overwrite=True."
            )
        target.mkdir(parents=True, exist_ok=True)
        results = dict(self)
        if self.together is not None:
            results |= self._written(run, progress, cancel, client)
        for name, raster in results.items():
            raster.save(paths[name], cancel=cancel, client=client, overwrite=True)
        shutil.rmtree(run, ignore_errors=True)
        return paths

    def _written(self, path: Path, *how: Any) -> dict[str, Raster]:
        """The results of the run, as read from where it was written."""
        assert self.together is not None
        progress, cancel, client = how
        if not path.exists():
            self.together.save(path, progress=progress, cancel=cancel, client=client)
        run = open_image(path)
        picks = {name: (raster, pick_of(raster)) for name, raster in self.items()}
        return {
            name: replace(
                raster,
                levels=(_lazily(run, raster, pick),),
                provenance=run.provenance,
                runner=None,
                recipe=None,
            )
            for name, (raster, pick) in picks.items()
            if pick is not None
        }


def pick_of(raster: Raster) -> Pick | None:
    """How a result is taken from those of its job; None if it is not."""
    derive = raster.runner.derive if isinstance(raster.runner, JobRunner) else None
    return derive if isinstance(derive, Pick) else None


def _of(values: npt.NDArray[Any], c: int, pick: Pick, keeps: bool) -> npt.NDArray[Any]:
    """What is picked along axis `c`, which stays or goes."""
    found = np.moveaxis(pick(np.moveaxis(values, c, 0)), 0, c)
    return found if keeps else found.squeeze(c)


def _lazily(run: Raster, raster: Raster, pick: Pick) -> da.Array:
    c = run.axes.index("c")
    array = run.data.rechunk({c: -1})
    count = pick.channels[1] - pick.channels[0]
    keeps = "c" in raster.axes
    sizes: dict[str, Any] = {"drop_axis": [] if keeps else [c]}
    if keeps:
        sizes = {"chunks": tuple((count,) if i == c else n for i, n in enumerate(array.chunks))}
    meta = np.empty((0,) * raster.ndim, raster.dtype)
    take = partial(_of, c=c, pick=pick, keeps=keeps)
    result: da.Array = da.map_blocks(
        take,
        array,
        dtype=raster.dtype,
        meta=meta,
        **sizes,
    )
    return result
