"""What networks of fixed size take from the whole image, found before any tile is run.

See `napari_tincture.models.layers.fixed_size`: either from the image reduced to that size, which is
read once, block by block; or as the mean over tiles of that size.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from napari_tincture.models.layers.fixed_size import find_held, fixed_parts, starts, trained_side
from napari_tincture.progress import CancelToken
from napari_tincture.tiling.inputs import Plane

if TYPE_CHECKING:
    from napari_tincture.tiling.job import TileJob

Held = tuple[Tensor, ...]
BLOCK = 2048
"""Side in pixels of what is read at once."""
MOST_TILES = 256
"""Over how many tiles the mean is taken at most; of a larger image they lie evenly spread."""


def held_of(
    job: TileJob, plane: Plane, stats: npt.NDArray[np.float64], cancel: CancelToken
) -> Held:
    """What a plane's tiles are to hold, in the order of the network's fixed parts.

    Returns
    -------
    tuple of Tensor
        (1, k) float32 each, on the CPU; empty for networks that take any size.
    """
    network = job.engine.module
    side = trained_side(network)
    if side is None:
        return ()
    images = _reduced if job.model.card.held == "reduced" else _tiles
    total: list[Tensor] = []
    count = 0
    for image in images(job, plane, stats, side):
        cancel.check()
        found = [value.cpu() for value in find_held(network, image)]
        total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        count += 1
    return tuple(value / count for value in total)


def has_fixed_parts(job: TileJob) -> bool:
    """Whether tiles must be given what the network can find at one size only."""
    return bool(fixed_parts(job.model.network))


def _reduced(
    job: TileJob, plane: Plane, stats: npt.NDArray[np.float64], side: int
) -> Iterator[Tensor]:
    """The one image to which the plane is reduced, (1, c, side, side)."""
    height, width = job.inputs.shape
    rows, columns = shrinking(height, side), shrinking(width, side)
    total = np.zeros((len(job.inputs.lanes), side, side))
    for y, x in product(_blocks(height), _blocks(width)):
        values = job.engine.normalise(job.inputs.finite(plane, y, x), stats)[0].double().cpu()
        across = [columns[:, x] @ channel.T for channel in values.numpy()]  # (side, y) each
        total += np.stack([rows[:, y] @ part.T for part in across])
    yield job.engine.as_input(torch.from_numpy(total.astype(np.float32))[None])


def _tiles(
    job: TileJob, plane: Plane, stats: npt.NDArray[np.float64], side: int
) -> Iterator[Tensor]:
    """Tiles of the trained size that cover the plane, the last ones flush with its edges."""
    places = list(product(*(starts(n, side) for n in job.inputs.shape)))
    chosen = np.linspace(0, len(places) - 1, min(len(places), MOST_TILES)).round().astype(int)
    for index in chosen:
        y, x = places[index]
        window = job.inputs.mirrored(plane, (y, y + side), (x, x + side))
        yield job.engine.normalise(window, stats)


def shrinking(length: int, side: int) -> sparse.csr_array:
    """Weights (side, length) that resample a line linearly and without aliasing.

    Those of torch's ``interpolate(mode="bilinear", antialias=True)``: a triangle over the pixels
    that an output lies among, as wide as the scale, but not narrower than two pixels.
    """
    scale = length / side
    reach = max(scale, 1.0)
    rows, columns, weights = [], [], []
    for index in range(side):
        centre = (index + 0.5) * scale
        first = max(int(centre - reach + 0.5), 0)
        last = min(int(centre + reach + 0.5), length)
        places = np.arange(first, last)
        weight = np.clip(1 - np.abs(places + 0.5 - centre) / reach, 0, None)
        rows.append(np.full(len(places), index))
        columns.append(places)
        weights.append(weight / weight.sum())
    entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_array(entries, shape=(side, length))


def _blocks(length: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]
