"""The map that most patches agree on, and how sure it is.

Places (y, x) are complex numbers y + ix where a map is a similarity: q = a p + b.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.regrid import FloatArray

Model = Literal["translation", "euclidean", "similarity", "affine"]
FREE: dict[Model, int] = {"translation": 2, "euclidean": 3, "similarity": 4, "affine": 6}
"""Parameters of each map."""
NEEDED: dict[Model, int] = {"translation": 1, "euclidean": 2, "similarity": 2, "affine": 3}
"""Places that determine it."""
TOLERANCES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Distances in pixels within which patches may agree."""
STRETCH = 0.1
"""Largest |a − 1| of a map that patches may agree on."""
PRECISION = 0.005
"""Pixels below which a difference between patches is that of the arithmetic."""


class Agreement(NamedTuple):
    """What patches agree on.

    Attributes
    ----------
    inliers
        Which of them do.
    log_chance
        Natural logarithm of the number of such agreements to be expected if all patches were
        found at places of pure chance.
    """

    inliers: npt.NDArray[np.bool_]
    log_chance: float


def agreement(
    places: FloatArray, found: FloatArray, reach: float, step: float, independent: float
) -> Agreement:
    """Find the largest group of patches that one similarity explains, and whether chance could.

    Tries all pairs of patches. Which tolerance fits is decided by the number of false alarms
    (Moisan & Stival, Int. J. Comput. Vis. 57 (2004) 201-218, eq. 11).

    Parameters
    ----------
    places, found
        Where patches are and were found, (n, 2) in pixels (y, x).
    reach
        The farthest that any could have been found off its place, in pixels.
    step
        Of the grid on which they were looked for, in pixels.
    independent
        Part of the patches, 0 … 1, that tells something of its own: what overlaps errs alike.
    """
    n = len(places)
    if n < 3:
        return Agreement(np.zeros(n, np.bool_), math.inf)
    p, q = _complex(places), _complex(found)
    i, j = np.triu_indices(n, 1)
    apart = p[i] - p[j]
    usable = np.abs(apart) > 1
    i, j, apart = i[usable], j[usable], apart[usable]
    # A pair that is near each other says nothing of rotation and scale.
    turn = np.where(np.abs(apart) > 4 * reach, (q[i] - q[j]) / apart, 1.0)
    sane = np.abs(turn - 1) < STRETCH
    if not sane.any():
        return Agreement(np.zeros(n, np.bool_), math.inf)
    turn, i = turn[sane], i[sane]
    off = np.abs(turn[:, None] * (p[None] - p[i][:, None]) + q[i][:, None] - q[None])
    best = Agreement(np.zeros(n, np.bool_), math.inf)
    for tolerance in TOLERANCES:
        near = off <= tolerance * step
        most = int(near.sum(axis=1).argmax())
        count = int(near[most].sum()) * independent
        chance = _log_false_alarms(n * independent, count, tolerance, reach / step)
        if chance < best.log_chance:
            best = Agreement(near[most], chance)
    return best


def _log_false_alarms(n: float, inliers: float, tolerance: float, reach: float) -> float:
    if inliers < 2.5:
        return math.inf
    by_chance = min(math.pi * tolerance**2 / (2 * reach + 1) ** 2, 1.0)
    return (
        math.log(len(TOLERANCES) * (n - 2)) + _log_choose(n, inliers)
        + _log_choose(inliers, 2) + (inliers - 2) * math.log(by_chance)
    )  # fmt: skip


def _log_choose(n: float, k: float) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def fitted(places: FloatArray, found: FloatArray, model: Model) -> FloatArray:
    """Fit a map (y, x, 1) → (y, x, 1) by least squares, 3 × 3.

    A similarity is Umeyama's (IEEE Trans. Pattern Anal. Mach. Intell. 13 (1991) 376-380), written
    with complex numbers.

    Parameters
    ----------
    places, found
        (n, 2), in coordinates in which a rotation is one.
    """
    centre, target = places.mean(axis=0), found.mean(axis=0)
    p, q = places - centre, found - target
    if model == "translation":
        linear = np.eye(2)
    elif model == "affine":
        linear = np.linalg.lstsq(p, q, rcond=None)[0].T
    else:
        spread = max(float((p**2).sum()), 1e-30)
        a = complex(np.vdot(_complex(p), _complex(q))) / spread
        if model == "euclidean":
            a /= abs(a)
        linear = np.array([[a.real, -a.imag], [a.imag, a.real]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = target - linear @ centre
    return matrix


def chosen(places: FloatArray, found: FloatArray, most: Model, independent: float) -> Model:
    """The simplest map that explains where patches were found, by Schwarz's criterion (BIC).

    Parameters
    ----------
    places, found
        (n, 2), in coordinates in which a rotation is one.
    most
        The most general map that may be chosen.
    independent
        Part of the places, 0 … 1, that tells something of its own.
    """
    count = 2 * len(places)
    best: Model = "translation"
    least = math.inf
    for model, free in FREE.items():
        if free > FREE[most] or len(places) <= NEEDED[model]:
            continue
        left = (residuals(places, found, fitted(places, found, model)) ** 2).sum() / count
        n = max(count * independent, 4.0)
        score = n * math.log(left + PRECISION**2) + free * math.log(n)
        if score < least:
            best, least = model, score
    return best


def residuals(places: FloatArray, found: FloatArray, matrix: FloatArray) -> FloatArray:
    """Distances between where a map takes places and where they were found, (n,)."""
    moved = places @ matrix[:2, :2].T + matrix[:2, 2]
    distances: FloatArray = np.linalg.norm(found - moved, axis=1)
    return distances


class Errors(NamedTuple):
    """Standard errors of a map's parts, as far as the scatter of the patches tells.

    Attributes
    ----------
    shift
        Along y, and along x, at a place, in pixels.
    rotation
        Degrees.
    scale
        As a factor; 0 of maps without.
    shear
        Degrees; 0 of maps without.
    """

    shift: float
    rotation: float
    scale: float
    shear: float


def errors(
    places: FloatArray, found: FloatArray, matrix: FloatArray, model: Model, at: FloatArray,
    independent: float,
) -> Errors:  # fmt: skip
    """Give the standard errors of a fitted map.

    Parameters
    ----------
    at
        The place (y, x) of the shift.
    independent
        Part of the places, 0 … 1, that tells something of its own.
    """
    n = len(places)
    left = (residuals(places, found, matrix) ** 2).sum()
    variance = (left / max(2 * n - FREE[model], 1) + PRECISION**2) / independent
    away = places - places.mean(axis=0)
    spread = max(float((away**2).sum()), 1e-12)
    turn = math.sqrt(variance / spread)
    lever = float(((at - places.mean(axis=0)) ** 2).sum()) / spread
    if model == "translation":
        return Errors(math.sqrt(variance / n), 0.0, 0.0, 0.0)
    if model == "affine":
        # Each axis has its own factor, which only about half of the squares tell.
        lever *= 2
    degrees = math.degrees(turn)
    return Errors(
        math.sqrt(variance * (1 / n + lever)), degrees,
        turn if model in ("similarity", "affine") else 0.0,
        2 * degrees if model == "affine" else 0.0,
    )  # fmt: skip


def _complex(points: FloatArray) -> npt.NDArray[np.complex128]:
    result: npt.NDArray[np.complex128] = points[:, 0] + 1j * points[:, 1]
    return result
