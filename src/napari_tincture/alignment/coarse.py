"""A first look: shifts of any size, and rotations, on small planes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_tincture.alignment.gray import Gray
from napari_tincture.alignment.match import Feature, correlation, featured, peaks
from napari_tincture.regrid import FloatArray

SIDE = 320
"""Longer side of the reference's plane in pixels, about."""
TURNED_SIDE = 192
"""The same where many rotations are tried."""
PART = 0.25
"""Of the largest overlap, what images that were shifted must still share."""
ROTATIONS = tuple(float(angle) for angle in (*range(-20, 0, 2), *range(2, 21, 2)))
"""Degrees that are tried where no shift alone will do."""


@dataclass(frozen=True)
class Candidate:
    """A map that may be it.

    Attributes
    ----------
    matrix
        From pixels (y, x, 1) of the reference to those where the image shows the same.
    score
        See `match.correlation` of the small planes.
    """

    matrix: FloatArray
    score: float


def candidates(
    image: Gray, reference: Gray, to_image: FloatArray, to_reference: FloatArray, feature: Feature,
    angles: Sequence[float] = (0.0,), number: int = 3,
) -> list[Candidate]:  # fmt: skip
    """List the shifts at which two small planes are most alike, the best first.

    Parameters
    ----------
    image, reference
        Small planes, in memory.
    to_image, to_reference
        From pixels (y, x, 1) of the reference's level 0 to those of the planes.
    angles
        Rotations in degrees about the middle of the reference that are tried.
    number
        The most to list.
    """
    shape = reference.raster.shape[-2:]
    side = SIDE if len(angles) == 1 else TURNED_SIDE
    step = max(1.0, max(shape) / side)
    height, width = (max(int(n / step), 1) for n in shape)
    grid = np.linalg.inv(to_reference) @ _stepped(step)
    seen, mask = reference.on(to_reference @ grid, (height, width))
    template = featured(seen, feature)
    middle = grid @ [(height - 1) / 2, (width - 1) / 2, 1.0]
    origin, large = _extent(image, to_image @ grid, (height, width))
    result = []
    for angle in angles:
        turn = _turned(angle, middle)
        plane, shown = image.on(to_image @ turn @ grid @ _moved(origin), large)
        scores = correlation(template, mask, featured(plane, feature), shown, PART)
        for y, x in peaks(scores, number):
            shift = np.array([y - height + 1, x - width + 1]) + origin
            matrix = turn @ grid @ _moved(shift) @ np.linalg.inv(grid)
            result.append(Candidate(matrix, float(scores[y, x])))
    return sorted(result, key=lambda candidate: -candidate.score)[:number]


def _extent(
    image: Gray, matrix: FloatArray, shape: tuple[int, int]
) -> tuple[FloatArray, tuple[int, int]]:
    """Where on the search's grid the image lies, at most half a side beyond the reference."""
    rows, columns = image.raster.shape[-2:]
    corners = np.array([[y, x, 1.0] for y in (0, rows - 1) for x in (0, columns - 1)])
    back = (corners @ np.linalg.inv(matrix).T)[:, :2]
    size = np.array(shape)
    low = np.maximum(np.floor(back.min(axis=0)), -(size // 2))
    high = np.minimum(np.ceil(back.max(axis=0)) + 1, size + size // 2)
    large = np.maximum(high - low, 1).astype(int)
    return low, (int(large[0]), int(large[1]))


def _stepped(step: float) -> FloatArray:
    matrix = np.diag([step, step, 1.0])
    matrix[:2, 2] = (step - 1) / 2
    return matrix


def _moved(shift: FloatArray) -> FloatArray:
    matrix = np.eye(3)
    matrix[:2, 2] = shift
    return matrix


def _turned(angle: float, centre: FloatArray) -> FloatArray:
    """A rotation of pixels about a place."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    matrix = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    matrix[:2, 2] = centre[:2] - matrix[:2, :2] @ centre[:2]
    return matrix
