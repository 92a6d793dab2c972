"""How much a result depends on which way the image lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_tincture.models import Model
from napari_tincture.raster import Raster
from napari_tincture.tasks._run import job_of, make_inputs
from napari_tincture.tiling.orient import TURNS, OrientedInputs
from napari_tincture.tiling.result import as_raster


def spread_over_turns(image: Raster, model: Model, settings: Mapping[str, Any]) -> Raster:
    """Standard deviation of a stain over the eight flips and quarter turns of an image.

    Parameters
    ----------
    image
        Cropped along t and z to what is wanted.
    model
        From image to image, without noise.
    settings
        As `make_job` takes them.

    Returns
    -------
    Raster
        (t, z, y, x) float32, averaged over channels, in the unit of the model's output range.
    """
    region = settings["region"]
    whole = {**settings, "region": None}
    inputs = make_inputs(image, model, whole)
    jobs = [
        job_of(OrientedInputs.of(inputs, turn), model, whole, "float32", image) for turn in TURNS
    ]
    results = [as_raster(job, image, "", {}) for job in jobs]
    first = results[0]
    arrays = [turn.home(found.data) for found, turn in zip(results, TURNS, strict=True)]
    chunks = first.data.chunks
    c = first.axes.find("c")
    spread = da.map_blocks(
        _deviation,
        *(array.rechunk(chunks) for array in arrays),
        axis=c,
        drop_axis=[] if c < 0 else [c],
        dtype=np.float32,
        meta=np.empty((0,) * (first.ndim - (c >= 0)), np.float32),
    )
    result = replace(
        first,
        levels=(spread,),
        axes=first.axes.replace("c", ""),
        order=first.order.replace("c", ""),
        placement=first.placement.drop(c) if c >= 0 else first.placement,
        rgb=False,
        channels=("std",),
        display={},
        runner=None,
    )
    return result.crop({a: slice(*edges) for a, edges in (region or {}).items()})


def _deviation(*blocks: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    spread = np.std(np.stack(blocks), axis=0, dtype=np.float64)
    spread = spread if axis < 0 else spread.mean(axis)
    result: npt.NDArray[np.float32] = spread.astype(np.float32)
    return result
