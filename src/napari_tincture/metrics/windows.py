"""Local similarity of two images: luminance, contrast, structure and their product, SSIM.

Wang, Bovik, Sheikh, Simoncelli (2004), Image quality assessment: from error visibility to
structural similarity, equations 6, 9, 10 and 13, with C₁ = (0.01 L)², C₂ = (0.03 L)², C₃ = C₂/2.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Block, Metric, State, Statistic, Undefined

K1, K2 = 0.01, 0.03
SIGMA, RADIUS = 1.5, 5
PARTS = ("ssim", "luminance", "contrast", "structure")


@dataclass(frozen=True)
class Window:
    """Weights of a local neighbourhood.

    Attributes
    ----------
    kind
        "uniform", 7 × 7 with the sample covariance, as scikit-image has it by default; or
        "gaussian" of sigma 1.5 over 11 × 11 with the covariance of the weighted population, as
        Wang et al. have it.
    """

    kind: Literal["uniform", "gaussian"]

    @property
    def radius(self) -> int:
        """Pixels from the centre to the edge."""
        return 3 if self.kind == "uniform" else RADIUS

    @property
    def correction(self) -> float:
        """What covariances are multiplied with."""
        return 49 / 48 if self.kind == "uniform" else 1.0

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """Along one axis; their sum is 1."""
        if self.kind == "uniform":
            return np.full(7, 1 / 7)
        x = np.arange(-RADIUS, RADIUS + 1)
        raw = np.exp(-0.5 * (x / SIGMA) ** 2)
        weights: npt.NDArray[np.float64] = raw / raw.sum()
        return weights


def similarity(
    image: npt.NDArray[np.generic],
    reference: npt.NDArray[np.generic],
    window: Window,
    data_range: float,
    parts: int = 1,
) -> npt.NDArray[np.float64]:
    """Similarity of windows that lie in the images as a whole.

    Parameters
    ----------
    image, reference : (y, x)
        Of the same shape and data type.
    window
        What is compared with each other.
    data_range
        L, difference between the largest and the smallest possible value.
    parts
        1: SSIM; 4: `PARTS`, too.

    Returns
    -------
    (parts, y - 2 · radius, x - 2 · radius) float64
        Exactly 1 where both images are equal; negative where structures are opposite.
    """
    edge = 2 * window.radius
    height, width = image.shape
    out = np.empty((parts, max(height - edge, 0), max(width - edge, 0)))
    if not out.size:
        return out
    c1, c2 = _constants(data_range)
    if fused():
        from napari_tincture.metrics import _fused

        if window.kind == "uniform":
            _fused.box_similarity(image, reference, c1, c2, window.correction, out)
        else:
            _fused.weighted_similarity(
                image, reference, window.weights, c1, c2, window.correction, out
            )
        return out
    from napari_tincture.metrics import _in_torch

    for top, values in _in_torch.strips(image, reference, window, c1, c2, parts):
        out[:, top : top + values.shape[1]] = values
    return out


def similarity_sums(
    image: npt.NDArray[np.generic],
    reference: npt.NDArray[np.generic],
    window: Window,
    data_range: float,
    parts: int = 1,
) -> npt.NDArray[np.float64]:
    """Sums over what `similarity` gives, (parts,) float64, without making the maps."""
    if min(image.shape) <= 2 * window.radius:
        return np.zeros(parts)
    c1, c2 = _constants(data_range)
    if not fused():
        from napari_tincture.metrics import _in_torch

        total = np.zeros(parts)
        for _, values in _in_torch.strips(image, reference, window, c1, c2, parts):
            total += values.sum(axis=(1, 2))
        return total
    from napari_tincture.metrics import _fused

    if window.kind == "uniform":
        return _fused.box_sums(image, reference, c1, c2, window.correction, parts)
    return _fused.weighted_sums(image, reference, window.weights, c1, c2, window.correction, parts)


def _constants(data_range: float) -> tuple[float, float]:
    return (K1 * data_range) ** 2, (K2 * data_range) ** 2


@cache
def fused() -> bool:
    """Whether numba is there, which takes everything in one pass."""
    return importlib.util.find_spec("numba") is not None


@dataclass(frozen=True)
class Similarity(Statistic):
    """Windows that lie in the plane as a whole, and the sums of what `similarity` gives there."""

    window: Window
    parts: int = 1

    @property
    def margin(self) -> int:  # type: ignore[override]
        """The window's radius."""
        return self.window.radius

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 1 + parts)."""
        part = block.inner(self.margin)
        if not all(s.stop > s.start for s in part):
            return np.zeros((block.count, 1 + self.parts))
        rows, columns = (
            slice(core.start + s.start - self.margin, core.start + s.stop + self.margin)
            for core, s in zip(block.core, part, strict=True)
        )
        pair = block.image[rows, columns], block.reference[rows, columns]
        if block.regions is None:
            sums = np.zeros((block.count, self.parts))
            sums[0] = similarity_sums(*pair, self.window, block.data_range, self.parts)
        else:
            values = similarity(*pair, self.window, block.data_range, self.parts)
            sums = block.sums(values, part)
        return np.concatenate([block.pixels(part), sums], axis=1)


class StructuralSimilarity(Metric):
    """Mean of SSIM over the windows that lie in the plane as a whole."""

    better = "higher"
    name: ClassVar[str] = "ssim"

    def __init__(self, name: str, window: Window, parts: int) -> None:
        self.columns = self.maps = self.averaged = _columns(name, parts)  # type: ignore[misc]
        self.statistic: Similarity = Similarity(window, parts)

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """-1 … 1; undefined where no window fits."""
        if not row[0]:
            side = 2 * self.statistic.margin + 1
            raise Undefined(f"no window of {side} × {side} pixels fits")
        return dict(zip(self.columns, (row[1:] / row[0]).tolist(), strict=True))

    def map(self, block: Block) -> Mapping[str, npt.NDArray[np.float32]]:
        """Of every pixel; at the plane's edges of the image mirrored there, as scikit-image."""
        values = similarity(
            *_mirrored(block, self.statistic.margin), self.statistic.window, block.data_range,
            self.statistic.parts,
        )  # fmt: skip
        return dict(zip(self.columns, values.astype(np.float32), strict=True))


def _columns(name: str, parts: int) -> tuple[str, ...]:
    return tuple(part.replace("ssim", name) for part in PARTS[:parts])


def _mirrored(block: Block, margin: int) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    """Both windows with exactly `margin` pixels around the core, mirrored where there are none."""
    cut, pad = [], []
    for core, place, side in zip(block.core, block.place, block.shape, strict=True):
        before, after = min(margin, place.start), min(margin, side - place.stop)
        cut.append(slice(core.start - before, core.stop + after))
        pad.append((margin - before, margin - after))
    image, reference = (
        np.pad(v[tuple(cut)], pad, "symmetric") for v in (block.image, block.reference)
    )
    return image, reference
