"""Several results of one run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
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
from napari_tincture.io.provenance import completed
from napari_tincture.progress import CancelToken, Progress, as_callback, share
from napari_tincture.raster import Index, Raster
from napari_tincture.tiling.answers import Pick
from napari_tincture.tiling.result import JobRunner


class Outputs(dict[str, Raster]):
    """Rasters by the names of what was asked for, lazy, on one grid.

    Reading places one by one runs the network once for all of them, as long as its results are
    remembered (256 MB); `compute`, `stream` and `save` run it once whatever their size.

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
        found: dict[str, npt.NDArray[Any]] = {
            name: np.empty(raster.shape, raster.dtype) for name, raster in self.items()
        }

        def write(name: str, index: Index, block: npt.NDArray[Any]) -> None:
            found[name][index] = block

        self.stream(write, progress=progress, cancel=cancel)
        return found

    def stream(
        self,
        write: Callable[[str, Index, npt.NDArray[Any]], None],
        *,
        progress: bool | Progress | None = None,
        cancel: CancelToken | None = None,
    ) -> dict[str, Mapping[str, Any]]:
        """Call ``write(name, index, block)`` for blocks that cover each result once, from one run.

        Returns
        -------
        dict
            By name, what only the run could tell.
        """
        report, token = as_callback(progress), cancel or CancelToken()
        picks = {name: pick for name, raster in self.items() if (pick := pick_of(raster))}
        single = [name for name in self if name not in picks]
        parts = bool(picks) + len(single)
        facts: dict[str, Mapping[str, Any]] = {}
        if self.together is not None:
            c = self.together.axes.find("c")

            def each(index: Index, block: npt.NDArray[Any]) -> None:
                for name, pick in picks.items():
                    keeps = "c" in self[name].axes
                    write(name, _place(index, c, pick, keeps), _of(block, c, pick, keeps))

            told = self.together.stream(each, progress=share(report, 0, parts), cancel=token)
            facts = dict.fromkeys(picks, told)
        for number, name in enumerate(single, start=bool(picks)):
            put = partial(write, name)
            part = share(report, number, parts)
            facts[name] = self[name].stream(put, progress=part, cancel=token)
        return facts

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
        goes on after a kill, one with other settings does not.

        Raises
        ------
        OutputError
            If a result is there already and not `overwrite`, or cannot be written.
        """
        target = Path(folder)
        paths = {name: target / f"{name}.ome.zarr" for name in self}
        there = [path.name for path in paths.values() if path.exists()]
        run = target / ".outputs.ome.zarr"
        goes_on = self._is_begun_in(run)
        if (there or run.exists()) and not overwrite and not goes_on:
            raise OutputError(
                f"{target} holds {', '.join(there) or 'an unfinished run of other settings'} "
                "already. Choose another folder, or pass overwrite=True."
            )
        if not goes_on:
            shutil.rmtree(run, ignore_errors=True)
        target.mkdir(parents=True, exist_ok=True)
        results = dict(self)
        if self.together is not None:
            results |= self._written(run, progress, cancel, client, overwrite)
        for name, raster in results.items():
            raster.save(paths[name], cancel=cancel, client=client, overwrite=True)
        shutil.rmtree(run, ignore_errors=True)
        return paths

    def _is_begun_in(self, path: Path) -> bool:
        """Whether a run was written there that is this one."""
        if self.together is None or not path.exists():
            return False
        steps: Any = open_image(path).provenance.get("steps")
        return bool(steps == completed(self.together, {})["steps"])

    def _written(self, path: Path, *how: Any) -> dict[str, Raster]:
        """The results of the run, as read from where it was written."""
        assert self.together is not None
        progress, cancel, client, overwrite = how
        if not path.exists():
            self.together.save(
                path, progress=progress, cancel=cancel, client=client, overwrite=overwrite
            )
        run = open_image(path)
        picks = {name: (raster, pick_of(raster)) for name, raster in self.items()}
        return {
            name: replace(
                raster,
                levels=(_lazily(run, raster, pick),),
                provenance=run.provenance,
                runner=None,
                call=None,
            )
            for name, (raster, pick) in picks.items()
            if pick is not None
        }


def pick_of(raster: Raster) -> Pick | None:
    """How a result is taken from those of its job; None if it is not."""
    derive = raster.runner.derive if isinstance(raster.runner, JobRunner) else None
    return derive if isinstance(derive, Pick) else None


def _of(values: npt.NDArray[Any], c: int, pick: Pick, keeps: bool) -> npt.NDArray[Any]:
    """What is picked along axis `c`, which stays or goes; without one (-1), of all there is."""
    if c < 0:
        result: npt.NDArray[Any] = pick(values[None])[0]
        return result
    found = np.moveaxis(pick(np.moveaxis(values, c, 0)), 0, c)
    return found if keeps else found.squeeze(c)


def _place(index: Index, c: int, pick: Pick, keeps: bool) -> Index:
    if c < 0:
        return index
    own = (slice(0, pick.channels[1] - pick.channels[0]),) if keeps else ()
    return (*index[:c], *own, *index[c + 1 :])


def _lazily(run: Raster, raster: Raster, pick: Pick) -> da.Array:
    c = run.axes.find("c")
    array = run.data if c < 0 else run.data.rechunk({c: -1})
    count = pick.channels[1] - pick.channels[0]
    keeps = "c" in raster.axes
    sizes: dict[str, Any] = {"drop_axis": [] if keeps or c < 0 else [c]}
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
