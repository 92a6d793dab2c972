"""How far a tiled run lies from the run on the whole image, measured on a crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_tincture.models import Model
from napari_tincture.progress import CancelToken
from napari_tincture.tiling.cores import SeamMode
from napari_tincture.tiling.inputs import Inputs
from napari_tincture.tiling.job import Block, Item, Plan, TileJob
from napari_tincture.tiling.stream import stream


@dataclass(frozen=True, slots=True)
class SeamError:
    """Difference between tiled and whole, in output values.

    Attributes
    ----------
    max, mean
        Of the absolute difference.
    std
        Standard deviation of the whole's output, to which `relative_max` and `relative_mean`
        refer.
    """

    max: float
    mean: float
    std: float

    @property
    def relative_max(self) -> float:
        """Largest difference in standard deviations of the output."""
        return self.max / max(self.std, 1e-12)

    @property
    def relative_mean(self) -> float:
        """Mean difference in standard deviations of the output."""
        return self.mean / max(self.std, 1e-12)


def measure_seams(
    model: Model,
    inputs: Inputs,
    core: int,
    device: str = "cpu",
    context: Any = "exact",
    seams: SeamMode = "exact",
) -> SeamError:
    """Run a model on the first plane of `inputs` tiled and whole, and compare.

    Parameters
    ----------
    core
        Side of a tile's core in pixels; small ones make many seams.
    """
    job = TileJob(inputs, model, Plan(core=core, device=device, context=context, seams=seams))
    plane = inputs.planes[0]
    height, width = inputs.shape
    result = np.empty((len(model.card.outputs), height, width), np.float32)

    def write(item: Item, block: Block) -> None:
        if item[0] == plane:
            y, x = job.grid.place(item[1])
            result[:, y, x] = block

    stream(job, write, cancel=CancelToken())
    values = inputs.finite(plane, slice(0, height), slice(0, width))
    stats = job.values_of(plane).stats
    whole = model.predict(
        torch.from_numpy(np.ascontiguousarray(_signed(values)))[None], stats=stats
    )
    return compare_outputs(result, whole[0].float().cpu().numpy())


def compare_outputs(tiled: np.ndarray, whole: np.ndarray) -> SeamError:
    """Difference of two outputs of equal shape."""
    gap = np.abs(tiled - whole)
    return SeamError(float(gap.max()), float(gap.mean()), float(whole.std()))


def _signed(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int64) if values.dtype.kind == "u" and values.itemsize > 1 else values
