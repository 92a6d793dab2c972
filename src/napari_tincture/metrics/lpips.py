"""Learned perceptual image patch similarity: a distance of features of AlexNet.

Zhang et al. (2018), The unreasonable effectiveness of deep features as a perceptual metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.metric import Block, Metric, State, Statistic, Undefined
from napari_tincture.models.user_weights import LPIPS

if TYPE_CHECKING:
    from napari_tincture.models.features.lpips import Lpips


class Layer(NamedTuple):
    """Where the places of a layer lie in the plane.

    Attributes
    ----------
    step
        Pixels from one to the next; the middle of the first is pixel `step` - 1.
    radius
        Pixels that a place sees on each side of its middle.
    """

    step: int
    radius: int


LAYERS = Layer(4, 5), Layer(8, 25), Layer(16, 49), Layer(16, 65), Layer(16, 81)
LEAST = 31
"""Pixels that a side must have: one place of the last layers."""
_STRIDE = 16
_TURN = Lock()


@dataclass(frozen=True)
class PerceptualSums(Statistic):
    """Per layer the number of places and the sum of their distances.

    A place counts for the region of the pixel at its middle. Blocks begin where places of the whole
    plane begin, and see all that these see, so that each distance is that in the whole plane; at
    the plane's edges that is the padding with zeros that AlexNet has. All is computed in float64,
    for how blocks are cut shows in the last digits.
    """

    margin = LAYERS[-1].radius + _STRIDE - 1
    colour = True
    takes_bad = True

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 2 · layers).

        Raises
        ------
        InputError
            If the images are not red, green and blue, or the weights are missing.
        ModelError
            If the file of the weights cannot be used.
        """
        _check(block)
        rows = np.zeros((block.count, 2 * len(LAYERS)))
        if min(block.shape) < LEAST:
            return rows
        origin = [p.start - c.start for p, c in zip(block.place, block.core, strict=True)]
        y, x = (-(-o // _STRIDE) * _STRIDE for o in origin)
        cut = slice(None), slice(y - origin[0], None), slice(x - origin[1], None)
        distances = _distances(block.image[cut], block.reference[cut], block.data_range)
        for number, (layer, values) in enumerate(zip(LAYERS, distances, strict=True)):
            rows[:, 2 * number : 2 * number + 2] = _summed(block, layer, values, (y, x))
        return rows


class PerceptualDistance(Metric):
    """LPIPS 0.1 on AlexNet: the mean distance of a layer's places, summed over five layers.

    Of a whole image it is what the authors' package gives, at the image's own size: nothing is
    resized, and distances depend on the pixel size. Values from 0 to the data range are seen as
    sRGB. AlexNet learned from photographs; how well its distances agree with an eye for microscope
    images nobody has measured.
    """

    network = True
    statistic, columns, better = PerceptualSums(), ("lpips",), "lower"
    needs = LPIPS

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """From 0, with the authors' weights to about 1; undefined where a layer has no place."""
        counts, sums = row[::2], row[1::2]
        if not counts.all():
            raise Undefined(
                f"layer {int(np.argmin(counts > 0)) + 1} of the network has no place; the image "
                f"must have {LEAST} × {LEAST} pixels, and the region a place's middle"
            )
        return {"lpips": float((sums / counts).sum())}


def _check(block: Block) -> None:
    if block.image.ndim != 3 or len(block.image) != 3:
        raise InputError(
            "LPIPS is of three channels, red, green and blue; the images have shape "
            f"{block.image.shape}. Choose three channels."
        )


def _summed(
    block: Block, layer: Layer, values: npt.NDArray[np.float64], start: tuple[int, int]
) -> State:
    """Number of places whose middle lies in the core, and the sum of their values; (regions, 2)."""
    cut, middles = [], []
    for place, first, length in zip(block.place, start, values.shape, strict=True):
        low, high = (-(-(end + 1 - layer.step) // layer.step) for end in (place.start, place.stop))
        before = first // layer.step
        low, high = max(low, 0), min(high, before + length)
        cut.append(slice(low - before, max(high, low) - before))
        middles.append(np.arange(low, max(high, low)) * layer.step + layer.step - 1 - place.start)
    inside = values[cut[0], cut[1]]
    picked = np.ix_(*middles)
    regions = np.zeros(inside.shape, np.int32) if block.regions is None else block.regions[picked]
    if block.bad is not None:
        regions = np.where(_seen(block.bad, layer.radius)[block.core][picked], -1, regions)
    chosen = regions >= 0
    sums = (
        np.bincount(regions[chosen], weights=weights, minlength=block.count)
        for weights in (None, inside[chosen])
    )
    return np.stack([*sums], axis=1).astype(np.float64)


def _seen(bad: npt.NDArray[np.bool_], radius: int) -> npt.NDArray[np.bool_]:
    from scipy.ndimage import maximum_filter

    seen: npt.NDArray[np.bool_] = maximum_filter(bad, size=2 * radius + 1, mode="constant")
    return seen


def _distances(
    image: npt.NDArray[np.generic], reference: npt.NDArray[np.generic], data_range: float
) -> list[npt.NDArray[np.float64]]:
    """Of each layer's places, (y', x')."""
    import torch

    pair = [
        torch.from_numpy(2 * np.ascontiguousarray(v, np.float64) / data_range - 1)[None]
        for v in (image, reference)
    ]
    # One after the other: torch gives all cores to one, and features of several fill memory.
    with _TURN, torch.inference_mode():
        return [found[0].numpy() for found in _network()(*pair)]


def _network() -> Lpips:
    path = LPIPS.path()
    return _loaded((path, path.stat().st_mtime_ns))


@lru_cache(maxsize=1)
def _loaded(file: tuple[Path, int]) -> Lpips:
    """By path and time of change."""
    from napari_tincture.models.features.lpips import load_lpips

    return load_lpips(file[0]).double()


METRIC = PerceptualDistance()
"""With the weights of the user's file."""
