"""Intensity drift: how much a plane or a paraboloid through the values rises across the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Block, Metric, State, Statistic, Undefined
from napari_tincture.regrid import Place

FloatArray = npt.NDArray[np.float64]
PLANE = ((0, 0), (0, 1), (1, 0))
PARABOLOID = (*PLANE, (0, 2), (1, 1), (2, 0))
"""Powers (of y, of x)."""
LOWER = np.array([True, False, True, False])
"""Which numbers of a frame are its lower ends."""
DEGENERATE = 1e-9
"""Ratio of singular values below which pixels do not tell a surface."""


@dataclass(frozen=True)
class Moments(Statistic):
    """What a least-squares fit to all pixels needs, about the middle of the pixels' frame.

    A row holds the frame (first and last y, first and last x; infinite where there are no pixels),
    the sums of y^a x^b for a, b ≤ 4, and those of y^a x^b · value for a, b ≤ 2. Parts are merged by
    moving both to the middle of the common frame.
    """

    alone = True

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 4 + 25 + 9)."""
        values = block.image[block.core].astype(np.float64)
        rows = np.zeros((block.count, 38))
        rows[:, :4] = np.inf, -np.inf, np.inf, -np.inf
        if block.regions is None:
            if values.size:
                rows[0] = _row(block.place, values, np.ones(values.shape))
            return rows
        from scipy.ndimage import find_objects

        for region, frame in enumerate(find_objects(block.regions + 1, block.count)):
            if frame is not None:
                inside = (block.regions[frame] == region).astype(np.float64)
                rows[region] = _row(_within(block.place, frame), values[frame], inside)
        return rows

    def merge(self, one: State, other: State) -> State:
        """Join two parts."""
        filled = other[:, 4] > 0
        result = np.where(filled[:, None], other, one)
        # Of many regions, a part holds pixels of few.
        for region in np.flatnonzero(filled & (one[:, 4] > 0)):
            a, b = one[region], other[region]
            frame = np.where(LOWER, np.minimum(a[:4], b[:4]), np.maximum(a[:4], b[:4]))
            result[region] = np.concatenate([frame, _moved(a, frame) + _moved(b, frame)])
        return result


def _within(place: Place, frame: Place) -> Place:
    y, x = (slice(p.start + f.start, p.start + f.stop) for p, f in zip(place, frame, strict=True))
    return y, x


def _row(place: Place, values: FloatArray, weights: FloatArray) -> FloatArray:
    frame = np.array([n for s in place for n in (s.start, s.stop - 1)], float)
    y, x = (
        np.vander(np.arange(s.start, s.stop) - middle, 5, increasing=True)
        for s, middle in zip(place, _middle(frame), strict=True)
    )
    # The two products are those of exact integers, as far as these fit.
    shape = y.T @ weights @ x
    sums = y[:, :3].T @ (weights * values) @ x[:, :3]
    return np.concatenate([frame, shape.ravel(), sums.ravel()])


def _middle(frame: FloatArray) -> tuple[float, float]:
    return (frame[0] + frame[1]) / 2, (frame[2] + frame[3]) / 2


def _moved(row: FloatArray, frame: FloatArray) -> FloatArray:
    """The moments of a row about the middle of another frame."""
    y, x = (_binomial(a - b) for a, b in zip(_middle(row[:4]), _middle(frame), strict=True))
    shape = y @ row[4:29].reshape(5, 5) @ x.T
    sums = y[:3, :3] @ row[29:].reshape(3, 3) @ x[:3, :3].T
    return np.concatenate([shape.ravel(), sums.ravel()])


def _binomial(step: float) -> FloatArray:
    """Powers of (u + step) from those of u."""
    return np.array([[comb(i, k) * step ** max(i - k, 0) for k in range(5)] for i in range(5)])


class Drift(Metric):
    """Rise of a fitted surface from its lowest to its highest place, over the data range.

    Surfaces are fitted to all pixels by least squares, and looked at within the frame of the
    pixels: ``drift`` is that of a paraboloid, all terms up to degree 2, ``drift_plane`` that of a
    plane. What the image shows counts, too: an object in one corner is a drift.
    """

    statistic, columns, better = Moments(), ("drift", "drift_plane"), "lower"

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """Parts of the data range; 0 for a constant image.

        Undefined where the pixels do not tell a paraboloid, such as those of a line.
        """
        return {
            name: _rise(fit(row, powers)) / data_range
            for name, powers in zip(self.columns, (PARABOLOID, PLANE), strict=True)
        }


def fit(row: npt.NDArray[np.float64], powers: tuple[tuple[int, int], ...]) -> FloatArray:
    """Fit a surface by least squares.

    Returns
    -------
    (3, 3) float64
        Factors of y^a x^b, both from -1 to 1 over the frame.

    Raises
    ------
    Undefined
        If the pixels do not tell a surface.
    """
    if not row[4]:
        raise Undefined("there are no pixels: no surface fits")
    half = [max((row[1] - row[0]) / 2, 1.0), max((row[3] - row[2]) / 2, 1.0)]
    scale = np.outer(*(np.power(h, -np.arange(5)) for h in half))
    shape = row[4:29].reshape(5, 5) * scale / row[4]
    sums = row[29:].reshape(3, 3) * scale[:3, :3] / row[4]
    normal = np.array([[shape[a + c, b + d] for c, d in powers] for a, b in powers])
    strengths = np.linalg.svd(normal, compute_uv=False)
    if strengths[-1] < DEGENERATE * strengths[0]:
        raise Undefined("the pixels are too few, or lie on a line: no surface fits")
    # The mean goes first: what rounding leaves of a large one would tilt the surface.
    level = sums[0, 0]
    rest = np.array([sums[a, b] - level * shape[a, b] for a, b in powers])
    result = np.zeros((3, 3))
    result[tuple(np.transpose(powers))] = np.linalg.solve(normal, rest)
    result[0, 0] += level
    return result


def _rise(surface: FloatArray) -> float:
    """Greatest minus least value of a surface over -1 … 1, found where its slopes vanish."""
    _, fx, fxx = surface[0]
    fy, fxy, fyy = surface[1, 0], surface[1, 1], surface[2, 0]
    points = [(y, x) for y in (-1.0, 1.0) for x in (-1.0, 1.0)]
    for side in (-1.0, 1.0):
        if fxx:
            points.append((side, -(fx + fxy * side) / (2 * fxx)))
        if fyy:
            points.append((-(fy + fxy * side) / (2 * fyy), side))
    curvature = np.array([[2 * fyy, fxy], [fxy, 2 * fxx]])
    if np.linalg.det(curvature):
        points.append(tuple(np.linalg.solve(curvature, [-fy, -fx])))
    y, x = np.array([p for p in points if max(map(abs, p)) <= 1]).T
    values = np.polynomial.polynomial.polyval2d(y, x, surface)
    return float(values.max() - values.min())


METRIC = Drift()
