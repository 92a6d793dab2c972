"""What an alignment check finds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from napari_tincture.alignment.fit import Errors, Model
from napari_tincture.regrid import FloatArray

NOTICED = 0.25
"""Pixels from which a shift or distortion is worth a warning."""
UNKNOWN = Errors(math.inf, math.inf, math.inf, math.inf)
GAIN = 0.01
"""Rise of a figure from which misalignment explains part of the score."""


class Likeness(NamedTuple):
    """How alike the patches are that could be compared both before and after.

    Attributes
    ----------
    pearson
        Mean correlation of their intensities.
    ssim
        Mean SSIM, scikit-image's default, over the range of the reference's values there.
    """

    pearson: float
    ssim: float


@dataclass(frozen=True, slots=True)
class Misalignment:
    """How far an image lies off its reference.

    Attributes
    ----------
    found : bool
        Whether it could be told.
    why : str
        What it rests on, or why it could not.
    model : str or None
        "translation", "euclidean", "similarity" or "affine": the simplest that explains it.
    matrix : 3 × 3 nested tuples
        From pixels (y, x, 1) of the reference to pixels of its grid where the image shows the
        same; the identity if not found.
    shift : (float, float)
        Along y and x at the centre of the reference, in its pixels: positive if the image lies
        too low, too far right.
    shift_um : (float, float) or None
        The same in µm; None without units of length.
    rotation : float
        Degrees, counter-clockwise as seen with y downward.
    scale : (float, float)
        Size of the image over that of the reference, along y and x.
    shear : float
        Degrees by which a right angle is changed.
    errors : Errors
        Standard errors of these.
    distortion_rms, distortion_p95 : float
        Root mean square and 95th percentile of what an affine map leaves at the trusted patches,
        in pixels of the reference.
    patches : int
        Number of places looked at.
    trusted : float
        Part of them, 0 … 1, that was found where all agree.
    before, after : Likeness or None
        At the trusted patches, as they lie and once aligned.
    looked_at : str
        Which planes and channels.
    """

    found: bool
    why: str
    model: Model | None = None
    matrix: tuple[tuple[float, ...], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    shift: tuple[float, float] = (0.0, 0.0)
    shift_um: tuple[float, float] | None = None
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    errors: Errors = UNKNOWN
    distortion_rms: float = 0.0
    distortion_p95: float = 0.0
    patches: int = 0
    trusted: float = 0.0
    before: Likeness | None = None
    after: Likeness | None = None
    looked_at: str = ""

    @property
    def is_off(self) -> bool:
        """Whether the image is off its reference by more than can be put down to chance."""
        if not self.found:
            return False
        moved = math.hypot(*self.shift)
        return bool(
            moved > max(NOTICED, 3 * self.errors.shift)
            or abs(self.rotation) > max(3 * self.errors.rotation, 0.02)
            or max(abs(s - 1) for s in self.scale) > max(3 * self.errors.scale, 5e-4)
            or abs(self.shear) > max(3 * self.errors.shear, 0.03)
            or self.distortion_rms > 2 * NOTICED
        )

    @property
    def explains_score(self) -> bool:
        """Whether patches are more alike once aligned."""
        if self.before is None or self.after is None or not self.is_off:
            return False
        rises = (b - a for a, b in zip(self.before, self.after, strict=True))
        return any(rise > GAIN for rise in rises)

    @property
    def warning(self) -> str | None:
        """One sentence for the user; None if all is well."""
        if not self.found:
            return f"Alignment could not be told: {self.why}."
        if not self.is_off:
            return None
        told = f"The image is off its reference by {self.amount}."
        if not self.explains_score or self.before is None or self.after is None:
            return told
        return (
            f"{told} It lowers the scores: where it was measured, aligning raises SSIM from "
            f"{self.before.ssim:.3f} to {self.after.ssim:.3f} and correlation from "
            f"{self.before.pearson:.3f} to {self.after.pearson:.3f}."
        )

    def to_json(self) -> dict[str, Any]:
        """Give a JSON-serialisable dict."""
        result = asdict(self)
        for name in ("errors", "before", "after"):
            value = getattr(self, name)
            result[name] = None if value is None else value._asdict()
        if not self.found:
            result["errors"] = None
        return result

    def __str__(self) -> str:
        if not self.found:
            return f"Could not tell: {self.why}."
        return f"{self.amount} ({self.trusted:.0%} of {self.patches} patches agree)."

    @property
    def amount(self) -> str:
        """What was found, in words."""
        dy, dx = self.shift
        parts = [f"{dy:+.2f}, {dx:+.2f} px (y, x; ± {self.errors.shift:.2g})"]
        if self.shift_um is not None:
            parts[0] += f" = {self.shift_um[0]:+.3g}, {self.shift_um[1]:+.3g} µm"
        if self.model != "translation":
            parts.append(f"{self.rotation:+.3f}° (± {self.errors.rotation:.2g})")
        if self.model in ("similarity", "affine"):
            parts.append(f"scale {self.scale[0]:.4f}, {self.scale[1]:.4f}")
        if self.model == "affine":
            parts.append(f"shear {self.shear:+.3f}°")
        if self.distortion_rms > NOTICED:
            parts.append(f"local distortion of {self.distortion_rms:.2f} px (rms)")
        return ", ".join(parts)


def parts_of(matrix: FloatArray) -> tuple[float, tuple[float, float], float]:
    """Rotation in degrees, scale along y and x, and shear in degrees of a linear map (2, 2).

    The rotation is that of the polar decomposition; what it leaves is symmetric.
    """
    turn = math.atan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])
    back = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    stretch = back @ matrix
    scale = float(stretch[0, 0]), float(stretch[1, 1])
    shear = math.degrees(math.atan(2 * stretch[0, 1] / sum(scale)))
    return math.degrees(turn), (scale[0], scale[1]), shear
