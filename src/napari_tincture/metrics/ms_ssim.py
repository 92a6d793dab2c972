"""Structural similarity at five scales.

Wang, Simoncelli, Bovik (2003), Multi-scale structural similarity for image quality assessment,
equation 7 with the weights of section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Block, Metric, State, Statistic, Undefined
from napari_tincture.metrics.windows import Window, similarity
from napari_tincture.regrid import Place

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = Window("gaussian")
_LAST = len(WEIGHTS) - 1
_STRIDE = 2**_LAST
LEAST = (2 * WINDOW.radius + 1) * _STRIDE
"""Pixels that a side must have: one window at the last scale."""


@dataclass(frozen=True)
class ScaleSums(Statistic):
    """Per scale the number of windows and the sum of their contrast · structure; at the last SSIM.

    A pixel of scale j is the mean of 2ʲ × 2ʲ pixels of the plane, counted from its upper left
    corner wherever a block lies; an odd last row or column is dropped. Its window counts for the
    region of the pixel at (or, of even sides, behind) its middle.
    """

    margin = WINDOW.radius * _STRIDE + _STRIDE // 2
    takes_bad = True

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 2 · scales)."""
        rows = np.zeros((block.count, 2 * len(WEIGHTS)))
        if min(block.shape) < LEAST:
            return rows
        pyramid = _Pyramid.of(block)
        for scale in range(len(WEIGHTS)):
            if scale:
                pyramid = pyramid.halved()
            rows[:, 2 * scale : 2 * scale + 2] = _windows(block, pyramid, scale)
        return rows


class MultiScaleSimilarity(Metric):
    """Product of the mean contrast · structure of four scales and the mean SSIM of the fifth.

    Each to the power of its weight. Windows are Gaussian, of sigma 1.5 over 11 × 11 pixels of
    their scale. As torchmetrics has it, only windows that lie in the plane as a whole count at
    the first four scales, while at the last, all do: of the image mirrored about the pixels of its
    edges.

    A mean below 0, of images whose structures are opposite, has no such power and counts as 0: so
    the product is 0.
    """

    statistic, columns, better = ScaleSums(), ("ms_ssim",), "higher"

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """0 … 1; undefined where a scale has no window."""
        counts, sums = row[::2], row[1::2]
        if not counts.all():
            raise Undefined(
                f"no window fits at scale {int(np.argmin(counts > 0)) + 1}; the image must have "
                f"{LEAST} × {LEAST} pixels, and the region its middle"
            )
        means = np.maximum(sums / counts, 0.0).tolist()
        return {"ms_ssim": math.prod(m**w for m, w in zip(means, WEIGHTS, strict=True))}


@dataclass(frozen=True, slots=True)
class _Pyramid:
    """A block's window at one scale: pixels from `start` (y, x) of the plane at that scale."""

    image: npt.NDArray[np.generic]
    reference: npt.NDArray[np.generic]
    bad: npt.NDArray[np.bool_] | None
    start: tuple[int, int]

    @classmethod
    def of(cls, block: Block) -> _Pyramid:
        """Begin where pixels of all scales begin."""
        origin = [p.start - c.start for p, c in zip(block.place, block.core, strict=True)]
        y, x = (-(-o // _STRIDE) * _STRIDE for o in origin)
        cut = slice(y - origin[0], None), slice(x - origin[1], None)
        bad = None if block.bad is None else block.bad[cut]
        return cls(block.image[cut], block.reference[cut], bad, (y, x))

    def halved(self) -> _Pyramid:
        """The next scale."""
        bad = None if self.bad is None else _mean(self.bad) > 0
        image, reference = (_mean(v) for v in (self.image, self.reference))
        return _Pyramid(image, reference, bad, (self.start[0] // 2, self.start[1] // 2))

    def cut(self, part: Place, mirror: bool) -> tuple[npt.NDArray[np.generic], ...]:
        """Image, reference and bad pixels of a part with the radius of a window around it."""
        radius = WINDOW.radius
        found, pad = [], []
        for s, start, length in zip(part, self.start, self.image.shape, strict=True):
            low, high = s.start - radius - start, s.stop + radius - start
            found.append(slice(max(low, 0), min(high, length)))
            pad.append((max(-low, 0), max(high - length, 0)))
        stack = [self.image, self.reference]
        if self.bad is not None:
            stack.append(self.bad)
        cut = (v[tuple(found)] for v in stack)
        return tuple(np.pad(v, pad, "reflect") if mirror else v for v in cut)


def _windows(block: Block, pyramid: _Pyramid, scale: int) -> State:
    """Number of the core's windows, and sum of their values; (regions, 2)."""
    step, mirror = 2**scale, scale == _LAST
    edge = 0 if mirror else WINDOW.radius
    part, picked = [], []
    for place, side in zip(block.place, block.shape, strict=True):
        first, last = (-(-(end - step // 2) // step) for end in (place.start, place.stop))
        first, last = max(first, edge), min(last, side // step - edge)
        if last <= first:
            return np.zeros((block.count, 2))
        part.append(slice(first, last))
        picked.append(slice(first * step + step // 2 - place.start, None, step))
    image, reference, *bad = pyramid.cut((part[0], part[1]), mirror)
    parts = similarity(image, reference, WINDOW, block.data_range, 4)
    values = parts[0] if mirror else parts[2] * parts[3]
    regions = np.zeros(values.shape, np.int32)
    if block.regions is not None:
        regions = block.regions[tuple(picked)][: values.shape[0], : values.shape[1]]
    if bad:
        regions = np.where(_seen(bad[0]), np.int32(-1), regions)
    flat = regions.ravel()
    chosen = flat >= 0
    sums = (
        np.bincount(flat[chosen], weights=weights, minlength=block.count)
        for weights in (None, values.ravel()[chosen])
    )
    return np.stack([*sums], axis=1).astype(np.float64)


def _seen(bad: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Whether windows that lie in a mask as a whole see any of it."""
    from scipy.ndimage import maximum_filter

    radius = WINDOW.radius
    seen: npt.NDArray[np.bool_] = maximum_filter(bad, size=2 * radius + 1)
    return seen[radius:-radius, radius:-radius]


def _mean(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    height, width = (side // 2 * 2 for side in values.shape)
    rows = np.add(values[0:height:2, :width], values[1:height:2, :width], dtype=np.float64)
    mean: npt.NDArray[np.float64] = (rows[:, ::2] + rows[:, 1::2]) * 0.25
    return mean


METRIC = MultiScaleSimilarity()
"""With the five published weights."""
