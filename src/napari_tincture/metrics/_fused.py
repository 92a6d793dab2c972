"""Sums and SSIM in one pass over the rows, compiled by numba.

Sums over windows are taken along x first and then along y, in the same order wherever a window
lies, so that every pixel has the same value however an image is cut into blocks.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

STRIP = 512
"""Columns that are gone through together: their sums stay in the processor's cache."""


def box_similarity(
    a: npt.NDArray[Any], b: npt.NDArray[Any], c1: float, c2: float, correction: float,
    out: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    """Similarity in 7 × 7 windows, as `windows.similarity` gives it, into out (k, y, x)."""
    _box(a, b, c1, c2, correction, out, _NO_TOTALS, _total_type(a, b)(0))


def box_sums(
    a: npt.NDArray[Any], b: npt.NDArray[Any], c1: float, c2: float, correction: float, parts: int
) -> npt.NDArray[np.float64]:
    """Sums of the maps that `box_similarity` gives, (parts,), without writing them."""
    row, totals = np.empty((parts, 1, STRIP)), np.zeros(parts)
    _box(a, b, c1, c2, correction, row, totals, _total_type(a, b)(0))
    return totals


def weighted_similarity(
    a: npt.NDArray[Any], b: npt.NDArray[Any], weights: npt.NDArray[np.float64], c1: float,
    c2: float, correction: float, out: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    """Similarity in windows with separable weights, into out (k, y, x)."""
    _weighted(a, b, weights, c1, c2, correction, out, _NO_TOTALS)


def weighted_sums(
    a: npt.NDArray[Any], b: npt.NDArray[Any], weights: npt.NDArray[np.float64], c1: float,
    c2: float, correction: float, parts: int,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Sums of the maps that `weighted_similarity` gives, (parts,), without writing them."""
    row, totals = np.empty((parts, 1, STRIP)), np.zeros(parts)
    _weighted(a, b, weights, c1, c2, correction, row, totals)
    return totals


def _total_type(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Any:
    return np.int32 if a.dtype == b.dtype == np.uint8 else np.float64


_NO_TOTALS = np.empty(0)
"""In place of sums where maps are wanted."""


@numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _products(a: Any, b: Any, y: int, x0: int, width: int, values: Any) -> None:
    for x in range(width):
        p, q = values[0, 0] * 0 + a[y, x0 + x], values[0, 0] * 0 + b[y, x0 + x]
        values[0, x] = p
        values[1, x] = q
        values[2, x] = p * p
        values[3, x] = q * q
        values[4, x] = p * q


@numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _similar(
    sums: Any, n: float, c1: float, c2: float, correction: float, out: Any, y: int, x0: int,
    width: int,
) -> None:  # fmt: skip
    """From sums over windows to similarity: of n² times the constants, no division by n."""
    k1, k2 = c1 * n * n, c2 * n * n / correction
    for x in range(width):
        sa, sb = np.float64(sums[0, x]), np.float64(sums[1, x])
        both = sa * sb
        squares = sa * sa + sb * sb
        va = n * np.float64(sums[2, x]) - sa * sa
        vb = n * np.float64(sums[3, x]) - sb * sb
        vab = n * np.float64(sums[4, x]) - both
        out[0, y, x0 + x] = (2 * both + k1) * (2 * vab + k2) / ((squares + k1) * (va + vb + k2))
    if out.shape[0] == 1:
        return
    for x in range(width):
        sa, sb = np.float64(sums[0, x]), np.float64(sums[1, x])
        both = sa * sb
        va = n * np.float64(sums[2, x]) - sa * sa
        vb = n * np.float64(sums[3, x]) - sb * sb
        vab = n * np.float64(sums[4, x]) - both
        spread = np.sqrt(max(va, 0.0) * max(vb, 0.0))
        vab = min(max(vab, -spread), spread)  # rounding, see _in_torch.batch_similarity
        out[1, y, x0 + x] = (2 * both + k1) / (sa * sa + sb * sb + k1)
        out[2, y, x0 + x] = (2 * spread + k2) / (max(va, 0.0) + max(vb, 0.0) + k2)
        out[3, y, x0 + x] = (vab + k2 / 2) / (spread + k2 / 2)


@numba.njit(nogil=True, cache=True, fastmath={"reassoc"}, inline="always")
def _add_row(out: Any, wide: int, totals: Any) -> None:
    for k in range(len(totals)):
        total = 0.0
        for x in range(wide):
            total += out[k, 0, x]
        totals[k] += total


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _box(
    a: Any, b: Any, c1: float, c2: float, correction: float, out: Any, totals: Any, zero: Any
) -> None:
    height, width = a.shape
    values = np.full((5, STRIP + 6), zero)
    pairs = np.full((5, STRIP + 6), zero)
    rows = np.full((5, STRIP), zero)
    twos = np.full((3, 5, STRIP), zero)
    fours = np.full((4, 5, STRIP), zero)
    last = np.full((5, STRIP), zero)
    sums = np.full((5, STRIP), zero)
    for x0 in range(0, width - 6, STRIP):
        wide = min(STRIP, width - 6 - x0)
        for y in range(height):
            _products(a, b, y, x0, wide + 6, values)
            two, four = twos[y % 3], fours[y % 4]
            two_before, four_before = twos[(y - 2) % 3], fours[(y - 3) % 4]
            one_before = twos[(y - 1) % 3]
            for k in range(5):
                for x in range(wide + 5):
                    pairs[k, x] = values[k, x] + values[k, x + 1]
                for x in range(wide):
                    rows[k, x] = pairs[k, x] + pairs[k, x + 2] + pairs[k, x + 4] + values[k, x + 6]
                for x in range(wide):
                    sums[k, x] = four_before[k, x] + one_before[k, x] + rows[k, x]
                for x in range(wide):
                    two[k, x] = last[k, x] + rows[k, x]
                    four[k, x] = two_before[k, x] + two[k, x]
                    last[k, x] = rows[k, x]
            if y < 6:
                continue
            if len(totals):
                _similar(sums, 49.0, c1, c2, correction, out, 0, 0, wide)
                _add_row(out, wide, totals)
            else:
                _similar(sums, 49.0, c1, c2, correction, out, y - 6, x0, wide)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _weighted(
    a: Any, b: Any, weights: Any, c1: float, c2: float, correction: float, out: Any, totals: Any
) -> None:
    height, width = a.shape
    size = len(weights)
    values = np.zeros((5, STRIP + size - 1))
    ring = np.zeros((size, 5, STRIP))
    sums = np.zeros((5, STRIP))
    for x0 in range(0, width - size + 1, STRIP):
        wide = min(STRIP, width - size + 1 - x0)
        for y in range(height):
            _products(a, b, y, x0, wide + size - 1, values)
            row = ring[y % size]
            for k in range(5):
                for x in range(wide):
                    row[k, x] = weights[0] * values[k, x]
                for i in range(1, size):
                    for x in range(wide):
                        row[k, x] += weights[i] * values[k, x + i]
            if y < size - 1:
                continue
            for k in range(5):
                for x in range(wide):
                    sums[k, x] = 0.0
                for i in range(size):
                    above = ring[(y + 1 + i) % size]
                    for x in range(wide):
                        sums[k, x] += weights[i] * above[k, x]
            if len(totals):
                _similar(sums, 1.0, c1, c2, correction, out, 0, 0, wide)
                _add_row(out, wide, totals)
            else:
                _similar(sums, 1.0, c1, c2, correction, out, y - size + 1, x0, wide)


@numba.njit(nogil=True, cache=True)
def integer_sums(a: Any, b: Any) -> Any:
    """As `sums._totals`, exact."""
    sa = sb = saa = sbb = sab = absolute = np.int64(0)
    least_a = most_a = np.int64(a[0, 0])
    least_b = most_b = np.int64(b[0, 0])
    for y in range(a.shape[0]):
        for x in range(a.shape[1]):
            p, q = np.int64(a[y, x]), np.int64(b[y, x])
            sa += p
            sb += q
            saa += p * p
            sbb += q * q
            sab += p * q
            absolute += abs(p - q)
            least_a, most_a = min(least_a, p), max(most_a, p)
            least_b, most_b = min(least_b, q), max(most_b, q)
    return sa, sb, saa, sbb, sab, absolute, least_a, most_a, least_b, most_b


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def float_sums(a: Any, b: Any, mean_a: float, mean_b: float) -> Any:
    """Spreads about the means, and sums, in the order of `sums.Sums`."""
    saa = sbb = sab = absolute = squared = reference = 0.0
    for y in range(a.shape[0]):
        for x in range(a.shape[1]):
            p, q = np.float64(a[y, x]), np.float64(b[y, x])
            error = p - q
            absolute += abs(error)
            squared += error * error
            reference += q * q
            p -= mean_a
            q -= mean_b
            saa += p * p
            sbb += q * q
            sab += p * q
    return saa, sbb, sab, absolute, squared, reference
