"""How wide classes of a label map are, and how much of it they have."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_tincture.raster import Raster

FAR = 64
"""Pixels from a class's border beyond which no distance is told from another."""
SIDE = 2048


class ClassWidths:
    """Pixels of classes, and their mean distance to the border of their class.

    The distance of a pixel is that of its centre to the nearest centre of a pixel of another
    class (Euclidean, at most 64 px); the image's edge is no border. In a long strip that is w
    pixels wide its mean is about w / 4 + 1 / 2, of which `width` is the inverse: the width of the
    strip that is as thin as the class.

    Parameters
    ----------
    meant
        Value of a label map → class; values that are not in it are of no class.
    """

    def __init__(self, meant: Mapping[int, int]) -> None:
        self._meant = dict(meant)
        self.pixels = dict.fromkeys(meant.values(), 0)
        self._sums = dict.fromkeys(meant.values(), 0.0)

    def add(self, labels: Raster) -> None:
        """Take a plane (y, x), read block by block with 64 px around."""
        height, width = labels.shape[-2:]
        for top, left in product(range(0, height, SIDE), range(0, width, SIDE)):
            spans = [
                (max(at - FAR, 0), min(at + SIDE + FAR, n), at, min(at + SIDE, n))
                for at, n in ((top, height), (left, width))
            ]
            block = labels.read(tuple(slice(start, stop) for start, stop, _, _ in spans))
            inner = tuple(slice(at - start, end - start) for start, _, at, end in spans)
            self._take(block, inner)

    def width(self, number: int) -> float:
        """Of a class in pixels, as above; NaN if no pixel was of it."""
        count = self.pixels[number]
        return 4 * (self._sums[number] / count - 0.5) if count else float("nan")

    def _take(self, block: NDArray[np.integer], inner: tuple[slice, ...]) -> None:
        for number in self.pixels:
            values = [value for value, own in self._meant.items() if own == number]
            mask = np.isin(block, values)
            count = int(mask[inner].sum())
            if count:
                self.pixels[number] += count
                self._sums[number] += float(_distances(mask)[inner].sum())


def _distances(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    from scipy.ndimage import distance_transform_edt

    if mask.all():  # there is no border to be far from
        return np.full(mask.shape, float(FAR))
    distances: NDArray[np.float64] = distance_transform_edt(mask).clip(max=FAR)
    return distances
