"""Where pictures show more than empty glass or dark background.

1. The background's value is the mode of a picture: that of the fullest bin of a histogram of small
   cells, so that it may be bright (bright field) or dark (fluorescence).
2. A cell's signal is the root mean square distance of its pixels from the background: darkness,
   brightness, saturation and local contrast, whatever sets a specimen off.
3. Otsu's threshold on the logarithm of the signal of some pictures of the domain together, so that
   an empty one among them stays empty. Where the classes differ by less than a factor of two there
   is no background to avoid, and everything is foreground.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_tincture.training.images.coverage import Coverage, cell_means
from napari_tincture.training.images.pictures import Picture

SHOWN = 0.01
"""Share of a crop's area that must be foreground where a crop must show some."""
SURVEYED = 16
"""Pictures from which the threshold is found."""
SMALLEST_CELL, MOST_CELLS = 8, 256
"""Side of a cell in pixels, and cells along the longer side of a picture."""
READ = 2**26
"""Planes of more pixels without a coarser level are sampled: a block in the middle of each cell."""
SAMPLES, BLOCK = 64, 32
BINS = 64
CLASSES_APART = 2.0

Map = tuple[NDArray[np.float64], tuple[float, float]]
"""Values (c, rows, columns) of cells, and a cell's height and width in pixels."""


class Foreground:
    """Finds the foreground of pictures that share a threshold.

    Parameters
    ----------
    pictures
        Of one domain; up to 16 of them are looked at for the threshold, when first needed.
    """

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._pictures = pictures

    def coverage(self, picture: Picture) -> Coverage:
        """What of a picture is foreground."""
        distances, cell = self._surveyed.get(picture) or _distances(picture)
        return Coverage.of((self._signal(distances) > self.threshold).astype(np.float64), cell)

    @cached_property
    def threshold(self) -> float:
        """Least logarithm of the signal of foreground."""
        signals = [self._signal(d).ravel() for d, _ in self._surveyed.values()]
        values = np.concatenate([np.resize(s, min(s.size, MOST_CELLS**2)) for s in signals])
        if values.max() - values.min() < np.log(CLASSES_APART):
            return -math.inf
        found = _otsu(values)
        apart = values[values > found].mean() - values[values <= found].mean()
        return found if apart >= np.log(CLASSES_APART) else -math.inf

    @cached_property
    def _surveyed(self) -> dict[Picture, Map]:
        count = len(self._pictures)
        places = np.unique(np.linspace(0, count - 1, min(count, SURVEYED)).round().astype(int))
        return {self._pictures[i]: _distances(self._pictures[i]) for i in places}

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """Of channels: alike for red, green and blue; others count by their own spread."""
        found = [d for d, _ in self._surveyed.values()]
        if self._pictures[0].raster.rgb:
            return np.ones(len(found[0]))
        energy = np.mean([d.mean((1, 2)) for d in found], axis=0)
        return np.asarray(1 / np.where(energy > 0, energy, 1))

    def _signal(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithm (rows, columns) of the distance from the background."""
        squared = np.tensordot(self._weights, distances, 1)
        # Cells of exactly the background's value: a thousandth of what there is counts as nothing.
        least = max(self._largest * 1e-6, np.finfo(np.float64).tiny)
        return np.asarray(np.log(np.maximum(squared, least)) / 2)

    @cached_property
    def _largest(self) -> float:
        found = [np.tensordot(self._weights, d, 1).max() for d, _ in self._surveyed.values()]
        return float(max(found))


def _otsu(values: NDArray[np.float64]) -> float:
    """Otsu's threshold; in the middle of those that are equally good, as in an empty gap."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[1:] + edges[:-1]) / 2
    below = counts.cumsum()[:-1]
    sums = (counts * middles).cumsum()
    above = values.size - below
    between = (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2 * below * above
    best = edges[1:-1][between >= (1 - 1e-3) * between.max()]
    return float(best.mean())


def _distances(picture: Picture) -> Map:
    """Mean squared distance of the pixels of each cell from the background."""
    mean, square, cell = _moments(picture)
    spread = mean.std((1, 2))
    scale = 1.0 if picture.raster.rgb else np.where(spread > 0, spread, 1)[:, None, None]
    grey = (mean / scale).sum(axis=0)
    low, high = np.percentile(grey, [0.1, 99.9])
    bins = np.clip((grey - low) / max(high - low, 1e-12) * BINS, 0, BINS - 1).astype(int)
    counts = np.bincount(bins.ravel(), minlength=BINS)
    fullest = int(np.convolve(counts, np.ones(3), "same").argmax())
    background = np.median(mean[:, np.abs(bins - fullest) <= 1], axis=1)[:, None, None]
    return np.maximum(square - 2 * background * mean + background**2, 0), cell


def _moments(
    picture: Picture,
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    """Mean and mean square (c, rows, columns) of cells, and a cell's size in pixels."""
    level = _coarse_level(picture)
    height, width = picture.raster.levels[level].shape[-2:]
    if height * width > READ:
        return _sampled_moments(picture)
    side = max(SMALLEST_CELL, math.ceil(max(height, width) / MOST_CELLS))
    parts = []
    for start in range(0, height, 16 * side):
        rows = slice(start, min(start + 16 * side, height))
        values = _read(picture, level, rows, slice(0, width)).astype(np.float64)
        parts.append((cell_means(values, side), cell_means(values**2, side)))
    mean, square = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    return mean, square, (side * picture.shape[0] / height, side * picture.shape[1] / width)


def _sampled_moments(
    picture: Picture,
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    height, width = picture.shape
    cell = height / SAMPLES, width / SAMPLES
    shape = (picture.channels, SAMPLES, SAMPLES)
    mean, square = np.empty(shape), np.empty(shape)
    for i, j in product(range(SAMPLES), repeat=2):
        y, x = (int((n + 0.5) * size - BLOCK / 2) for n, size in zip((i, j), cell, strict=True))
        values = picture.raw(slice(y, y + BLOCK), slice(x, x + BLOCK)).astype(np.float64)
        mean[:, i, j], square[:, i, j] = values.mean((1, 2)), (values**2).mean((1, 2))
    return mean, square, cell


def _coarse_level(picture: Picture) -> int:
    """The coarsest pyramid level that is fine enough."""
    fine = SMALLEST_CELL * MOST_CELLS // 2
    sides = [max(level.shape[-2:]) for level in picture.raster.levels]
    return max((i for i, side in enumerate(sides) if side >= fine), default=0)


def _read(picture: Picture, level: int, y: slice, x: slice) -> NDArray[np.generic]:
    if level == 0:
        return picture.raw(y, x)
    leading = dict(zip(picture.inputs.leading, picture.plane, strict=True))
    planes = []
    for lane in picture.inputs.lanes:
        at = {**lane.at, **leading}
        index = tuple(slice(at[a], at[a] + 1) if a in at else {"y": y, "x": x}[a]
                      for a in lane.raster.axes)  # fmt: skip
        planes.append(np.nan_to_num(lane.raster.read(index, level)).reshape(y.stop - y.start, -1))
    return np.stack(planes)
