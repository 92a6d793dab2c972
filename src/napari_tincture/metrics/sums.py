"""Sums over pixels, which most metrics read: errors, and moments of both images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import NO_PIXELS, Block, State, Statistic, Undefined, Values
from napari_tincture.metrics.windows import fused


class Sums(NamedTuple):
    """The numbers of one region.

    Attributes
    ----------
    pixels
        How many.
    image, reference
        Means.
    image_spread, reference_spread, common_spread
        Sums of squares, and of products, about the means.
    absolute, squared
        Sums of |image - reference| and of its square.
    reference_squared
        Sum of the reference's squares.
    image_least, image_most, reference_least, reference_most
        Extremes; infinite where there are no pixels.
    """

    pixels: float
    image: float
    reference: float
    image_spread: float
    reference_spread: float
    common_spread: float
    absolute: float
    squared: float
    reference_squared: float
    image_least: float
    image_most: float
    reference_least: float
    reference_most: float

    @classmethod
    def read(cls, row: npt.NDArray[np.float64]) -> Sums:
        """Name a row's numbers.

        Raises
        ------
        Undefined
            If there are no pixels.
        """
        sums = cls(*row.tolist())
        if not sums.pixels:
            raise Undefined(NO_PIXELS)
        return sums

    @property
    def mse(self) -> float:
        """Mean squared error."""
        return self.squared / self.pixels


def difference(block: Block) -> npt.NDArray[np.float64]:
    """Image minus reference over the core (y, x)."""
    return np.subtract(block.image[block.core], block.reference[block.core], dtype=np.float64)


@dataclass(frozen=True)
class PixelSums(Statistic):
    """A row of `Sums` per region.

    Moments are merged by the pairwise formulas of Chan, Golub and LeVeque (1979), which lose no
    digits where the means are large.
    """

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 13)."""
        image, reference = block.image[block.core], block.reference[block.core]
        alike = block.regions is None and image.dtype == reference.dtype
        if alike and (row := _whole(image, reference)):
            rows = np.broadcast_to(_NOTHING, (block.count, len(_NOTHING))).copy()
            rows[0] = row
            return rows
        a, b = image.astype(np.float64), reference.astype(np.float64)
        error = a - b
        n = block.pixels()
        totals = block.sums(np.stack([a, b, np.abs(error), error * error, b * b]))
        extremes = np.concatenate([block.extremes(a), block.extremes(b)], axis=1)
        means = np.divide(totals[:, :2], n, out=np.zeros((len(n), 2)), where=n > 0)
        # Pixels of no region take any mean, for they do not count.
        region = 0 if block.regions is None else block.regions
        a -= means[region, 0]
        b -= means[region, 1]
        spreads = block.sums(np.stack([a * a, b * b, a * b]))
        return np.concatenate([n, means, spreads, totals[:, 2:], extremes], axis=1)

    def merge(self, one: State, other: State) -> State:
        """Join two parts."""
        n1, n2 = one[:, :1], other[:, :1]
        n = n1 + n2
        share = np.divide(n2, n, out=np.zeros_like(n), where=n > 0)
        step = other[:, 1:3] - one[:, 1:3]
        squares = np.stack([step[:, 0] ** 2, step[:, 1] ** 2, step[:, 0] * step[:, 1]], axis=1)
        spreads = one[:, 3:6] + other[:, 3:6] + squares * (n1 * share)
        means = one[:, 1:3] + step * share
        lows = np.minimum(one[:, [9, 11]], other[:, [9, 11]])
        highs = np.maximum(one[:, [10, 12]], other[:, [10, 12]])
        extremes = np.stack([lows, highs], axis=2).reshape(len(n), 4)
        return np.concatenate([n, means, spreads, one[:, 6:9] + other[:, 6:9], extremes], axis=1)


def _whole(image: Values, reference: Values) -> tuple[float, ...] | None:
    """The numbers of `Sums` of all pixels; None if there is no quick way to them."""
    if image.dtype.kind in "ui" and image.dtype.itemsize <= 2:
        return _of_integers(image, reference)
    if not fused():
        return None
    from napari_tincture.metrics import _fused

    means = image.mean(dtype=np.float64), reference.mean(dtype=np.float64)
    extremes = (float(v) for v in (image.min(), image.max(), reference.min(), reference.max()))
    return (image.size, *means, *_fused.float_sums(image, reference, *means), *extremes)


def _of_integers(image: Values, reference: Values) -> tuple[float, ...]:
    """Exact, for no sum of 16-bit products over a block leaves the integers of a double."""
    totals = _totals(image, reference)
    n = image.size
    sa, sb, saa, sbb, sab, absolute, *limits = map(int, totals)
    spreads = ((n * s - t) / n for s, t in ((saa, sa * sa), (sbb, sb * sb), (sab, sa * sb)))
    return (n, sa / n, sb / n, *spreads, absolute, saa + sbb - 2 * sab, sbb, *limits)


def _totals(image: Values, reference: Values) -> Any:
    """Sums of a, b, a², b², ab and |a - b|; least and most of a and of b."""
    if fused():
        from napari_tincture.metrics import _fused

        return _fused.integer_sums(image, reference)
    a, b = (v.astype(np.float64).ravel() for v in (image, reference))
    sums = a.sum(), b.sum(), a @ a, b @ b, a @ b, np.abs(a - b).sum()
    return (*sums, image.min(), image.max(), reference.min(), reference.max())


SUMS = PixelSums()
_NOTHING = np.array([*[0.0] * 9, np.inf, -np.inf, np.inf, -np.inf])
