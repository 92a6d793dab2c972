"""Directions of optical densities in the plane of two stains: Macenko et al. (2009)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Undefined

FloatArray = npt.NDArray[np.float64]
STEP = 0.01
"""Width of a bin of angles in degrees."""
_BINS = round(180 / STEP)
_FLAT = 1e-4
"""Of the largest eigenvalue: a second one below is rounding to 8 bits, not a second stain."""


@dataclass(frozen=True)
class Plane:
    """The plane through 0 that is nearest to densities; unit vectors (2, 3), the major first."""

    axes: FloatArray

    @classmethod
    def of(cls, moments: FloatArray) -> Plane:
        """From the sum of ddᵀ over densities d, (3, 3).

        Its eigenvectors are the singular vectors of the densities. They are not centred first:
        mixtures of two stains lie in a plane through 0.

        Raises
        ------
        Undefined
            If the densities lie on a line.
        """
        values, vectors = np.linalg.eigh(moments)
        if values[1] <= _FLAT * values[2]:
            raise Undefined("the tissue has one colour, so that a second stain cannot be told")
        major = vectors[:, 2]
        # Densities are not negative, so that this one's parts are of one sign.
        return cls(np.stack([major * np.sign(major.sum()), vectors[:, 1]]))

    def angles(self, densities: FloatArray) -> FloatArray:
        """Angles of densities (3, n) to the major vector within the plane, in degrees ±90."""
        along, across = self.axes @ densities
        result: FloatArray = np.degrees(np.arctan2(across, along))
        return result

    def direction(self, angle: float) -> FloatArray:
        """Unit vector (3,) at an angle in degrees to the major vector."""
        turn = np.radians(angle)
        result: FloatArray = np.array([np.cos(turn), np.sin(turn)]) @ self.axes
        return result


@dataclass
class AngleCounts:
    """Histogram of angles in degrees from -90 to 90."""

    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))

    def add(self, angles: FloatArray) -> None:
        """Count further angles."""
        bins = np.clip(((angles + 90) / STEP).astype(np.int64), 0, _BINS - 1)
        self.counts += np.bincount(bins, minlength=_BINS)

    def percentile(self, percent: float) -> float:
        """Least angle up to which so much lies, to within a bin; linear within it."""
        below = np.concatenate([[0], np.cumsum(self.counts)])
        # Of n angles the first is the least of which anything can be said.
        wanted = max(percent / 100 * below[-1], 1.0)
        place = int(np.searchsorted(below, wanted)) - 1
        part = (wanted - below[place]) / self.counts[place]
        return float((place + part) * STEP - 90)
