"""Patches of the reference's grid: where to look, and where the image shows the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.alignment.gray import FloatPlane, Gray
from napari_tincture.alignment.match import COARSE, FINE, Feature, featured, match
from napari_tincture.regrid import FloatArray

SIDE, LEAST = 256, 32
"""Pixels along a patch, and the fewest that tell anything."""
REACH = 24
"""Farthest shift, in pixels, that a patch is searched for."""
SPREAD = 6
"""Patches along y and x at the most."""
MARGIN = round(COARSE)
"""Pixels around a patch that its filters see."""
PEAK, CLEAR = 0.15, 1.0
"""What a patch must reach to count as found: correlation, and distance from the next best."""

Texture = Callable[[FloatArray], FloatArray]
"""How much there is to see around places (n, 2) of the reference; (n,)."""


class Found(NamedTuple):
    """Where patches were found.

    Attributes
    ----------
    places, found
        Their centres on the reference's grid and where the image shows the same, taking the map
        that was tried for true: (n, 2), pixels (y, x) of the reference.
    peaks
        Correlations there, (n,).
    asked
        Number of patches looked for.
    reach
        How far, in pixels of the reference.
    """

    places: FloatArray
    found: FloatArray
    peaks: FloatArray
    asked: int
    reach: float


@dataclass(frozen=True)
class Look:
    """How two planes are looked at.

    Attributes
    ----------
    image, reference
        What is read.
    to_image, to_reference
        From pixels (y, x, 1) of the reference's level 0 to those of the two planes.
    shape
        Of the reference's level 0.
    step
        Pixels of it per pixel of a patch.
    side
        Pixels along a patch.
    """

    image: Gray
    reference: Gray
    to_image: FloatArray
    to_reference: FloatArray
    shape: tuple[int, int]
    step: float
    side: int

    def patch(self, place: FloatArray, margin: int) -> FloatPlane | None:
        """Read the reference around a place; None where it is not all there."""
        side = self.side + 2 * margin
        return self.reference.inside(self.to_reference @ self.grid(place, side), (side, side))

    def window(self, place: FloatArray, guess: FloatArray, margin: int) -> FloatPlane | None:
        """Read the image where `guess` takes the surroundings of a place."""
        side = self.side + 2 * margin
        matrix = self.to_image @ guess @ self.grid(place, side)
        return self.image.inside(matrix, (side, side))

    def grid(self, place: FloatArray, side: int) -> FloatArray:
        """From pixels of a patch to those of the reference."""
        matrix = np.diag([self.step, self.step, 1.0])
        matrix[:2, 2] = place - self.step * (side - 1) / 2
        return matrix


def places(look: Look, guess: FloatArray, reach: int, score_of: Texture) -> FloatArray:
    """Choose centres of patches: spread over the overlap, where there is most to see; (n, 2)."""
    around = look.step * (look.side / 2 + reach + MARGIN)
    inner = look.step * (look.side / 2 + MARGIN)
    fine = [np.linspace(0, n - 1, 64) for n in look.shape]
    centres = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1).reshape(-1, 2)
    usable = _fits(centres, inner, look.to_reference, look.reference.raster.shape[-2:])
    usable &= _fits(centres, around, look.to_image @ guess, look.image.raster.shape[-2:])
    if not usable.any():
        return np.zeros((0, 2))
    centres = centres[usable]
    score = score_of(centres)
    edges = [_cells(values, look.step * look.side) for values in centres.T]
    result = [
        centres[chosen[score[chosen].argmax()]]
        for top, bottom in pairwise(edges[0])
        for left, right in pairwise(edges[1])
        if (chosen := _between(centres, (top, left), (bottom, right))).size
    ]
    return np.array([look_on_grid(look, place) for place in result])


def look_on_grid(look: Look, place: FloatArray) -> FloatArray:
    """Move a place so that a patch around it lies on whole pixels of the reference."""
    half = look.step * (look.side - 1) / 2
    moved: FloatArray = np.rint(place - half) + half
    return moved


def texture(small: Gray, matrix: FloatArray) -> Texture:
    """Measure the contrast of structures of a small plane in its surroundings.

    Parameters
    ----------
    small
        (y, x), in memory.
    matrix
        From pixels of the reference's level 0 to its own.
    """
    from scipy.ndimage import gaussian_filter

    shape = small.raster.shape[-2:]
    plane, _ = small.on(np.eye(3), (shape[0], shape[1]))
    even = (plane - plane.mean()).astype(np.float64)
    fine = gaussian_filter(even, FINE) - gaussian_filter(even, COARSE)
    energy = gaussian_filter(np.minimum(fine**2, np.percentile(fine**2, 99)), max(shape) / 16)

    def at(places: FloatArray) -> FloatArray:
        index = np.rint(places @ matrix[:2, :2].T + matrix[:2, 2]).astype(int)
        y, x = (np.clip(i, 0, n - 1) for i, n in zip(index.T, shape, strict=True))
        result: FloatArray = energy[y, x]
        return result

    return at


def _fits(
    centres: FloatArray, reach: float, matrix: FloatArray, shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    corners = np.array([[y, x] for y in (-reach, reach) for x in (-reach, reach)])
    points = (centres[:, None] + corners) @ matrix[:2, :2].T + matrix[:2, 2]
    inside: npt.NDArray[np.bool_] = ((points >= 0) & (points <= np.array(shape) - 1)).all(
        axis=(1, 2)
    )
    return inside


def _cells(values: FloatArray, side: float) -> FloatArray:
    low, high = float(values.min()), float(values.max())
    count = int(np.clip(2 * (high - low) / side + 1, 2, SPREAD)) if high > low else 1
    edges: FloatArray = np.linspace(low, high, count + 1)
    edges[-1] += 1
    return edges


def _between(
    centres: FloatArray, low: tuple[float, ...], high: tuple[float, ...]
) -> npt.NDArray[np.intp]:
    inside = ((centres >= low) & (centres < high)).all(axis=1)
    result: npt.NDArray[np.intp] = np.flatnonzero(inside)
    return result


def searched(
    look: Look, centres: FloatArray, guess: FloatArray, reach: int, feature: Feature,
    tick: Callable[[], None],
) -> Found:  # fmt: skip
    """Look for patches where `guess`, a map of the reference's pixels, says they are."""
    kept, moved, peaks = [], [], []
    for place in centres:
        tick()
        patch = look.patch(place, MARGIN)
        window = look.window(place, guess, MARGIN + reach)
        if patch is None or window is None:
            continue
        inner = slice(MARGIN, -MARGIN)
        hit = match(featured(patch, feature)[inner, inner], featured(window, feature)[inner, inner])
        if hit is None or hit.peak < PEAK or hit.clear < CLEAR:
            continue
        there = place + look.step * np.array(hit.shift)
        kept.append(place)
        moved.append(guess[:2, :2] @ there + guess[:2, 2])
        peaks.append(hit.peak)
    return Found(
        np.array(kept).reshape(-1, 2), np.array(moved).reshape(-1, 2), np.array(peaks),
        len(centres), reach * look.step,
    )  # fmt: skip
