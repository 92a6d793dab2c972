"""How far the colours of two images are from each other, wherever in the images they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics._lab import to_lab
from napari_tincture.metrics.metric import Block, Metric, State, Statistic, Undefined

LOWEST = (0, -128, -128)
BINS = (100, 256, 256)
"""Of L*, a*, b*, each one unit wide; colours of sRGB lie inside."""
COARSE = 4
"""Bins that χ² takes together: over finer ones it is mostly noise."""
_ENDS = np.cumsum([0, *BINS])
_LENGTH = int(_ENDS[-1])
_REGIONS = 2**16
"""Whose histograms fill 640 MB."""
_PIXELS = 2**14
"""That are converted together: what they need stays in the processor's cache."""


@dataclass(frozen=True)
class ColourHistograms(Statistic):
    """Counts per bin of L*, a* and b* of the image, then of the reference: 1224 numbers."""

    colour = True

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 1224).

        Raises
        ------
        InputError
            If the images are not red, green and blue, or there are more regions than memory
            should be spent on.
        """
        _check(block)
        cut = (slice(None), *block.core)
        counts = np.zeros((block.count, 2 * _LENGTH))
        for place, values in enumerate((block.image[cut], block.reference[cut])):
            part = counts[:, place * _LENGTH : (place + 1) * _LENGTH]
            rows = max(1, _PIXELS // max(values.shape[2], 1))
            for top in range(0, values.shape[1], rows):
                strip = slice(top, top + rows)
                regions = None if block.regions is None else block.regions[strip]
                _count(values[:, strip], block.data_range, regions, part)
        return counts


def _check(block: Block) -> None:
    if block.image.ndim != 3 or len(block.image) != 3:
        raise InputError(
            "Colour histograms are of three channels, red, green and blue; the images have shape "
            f"{block.image.shape}. Choose three channels."
        )
    if block.count > _REGIONS:
        raise InputError(
            f"Colour histograms of {block.count} regions, {2 * _LENGTH} numbers each, were asked "
            f"for; at most {_REGIONS} are possible. Use larger regions."
        )


def _count(
    values: npt.NDArray[np.generic],
    data_range: float,
    regions: npt.NDArray[np.int32] | None,
    counts: State,
) -> None:
    """Add the pixels of colours (3, y, x) to the counts (regions, 612)."""
    chosen = slice(None) if regions is None else regions.ravel() >= 0
    region = 0 if regions is None else regions.ravel()[chosen].astype(np.int64)
    lab = to_lab(values, data_range)
    for plane, low, bins, (start, stop) in zip(lab, LOWEST, BINS, pairwise(_ENDS), strict=True):
        found = np.floor(plane.ravel()[chosen] - low)
        np.clip(found, 0, bins - 1, out=found)
        flat = found.astype(np.int64) + bins * region
        total = np.bincount(flat, minlength=len(counts) * bins)
        counts[:, start:stop] += total.reshape(len(counts), bins)


class ColourHistogramDistance(Metric):
    """Distances of the histograms of L*, a* and b* (CIELAB under D65, from sRGB), per channel.

    The earth mover's distance of two histograms on a line is the area between their cumulative
    sums (Rubner, Tomasi, Guibas 2000, section 4.3), here in units of CIELAB, which differences
    within a bin of one unit may miss. χ² is ½ Σ (p - q)² / (p + q) over bins of four units.
    Where in the images a colour is makes no difference.
    """

    statistic, better = ColourHistograms(), "lower"
    columns = (
        "colour_histogram",
        "emd_lightness",
        "emd_a",
        "emd_b",
        "chi2_lightness",
        "chi2_a",
        "chi2_b",
    )

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """Mean of the three earth mover's distances, these, and χ² 0 … 1.

        Undefined without pixels.
        """
        image, reference = row.reshape(2, _LENGTH)
        pixels = image[: BINS[0]].sum(), reference[: BINS[0]].sum()
        if not all(pixels):
            raise Undefined("there are no pixels")
        shares = image / pixels[0], reference / pixels[1]
        pairs = [tuple(s[start:stop] for s in shares) for start, stop in pairwise(_ENDS)]
        moved = [_earth_movers(p, q) for p, q in pairs]
        squares = [_chi_squared(p, q) for p, q in pairs]
        return dict(zip(self.columns, [float(np.mean(moved)), *moved, *squares], strict=True))


def _earth_movers(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    return float(np.abs(np.cumsum(p - q)).sum())


def _chi_squared(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    p, q = (v.reshape(-1, COARSE).sum(axis=1) for v in (p, q))
    both = p + q
    there = both > 0
    return float(((p - q)[there] ** 2 / both[there]).sum() / 2)


METRIC = ColourHistogramDistance()
