"""Figures of an image alone that are means over windows of 3 × 3 pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from napari_tincture.metrics.metric import Block, Metric, State, Statistic, Undefined
from napari_tincture.regrid import Place

FloatArray = npt.NDArray[np.float64]
Local = Callable[[FloatArray], FloatArray]
"""From values (y + 2, x + 2) to one figure per window (y, x)."""
BOX = 7
"""Radius in pixels of the boxes that maps of focus average over."""


def neighbourhood(block: Block, part: Place, margin: int = 1) -> FloatArray:
    """The image around a part of the core, with so many pixels on each side; (y, x)."""
    if not all(s.stop > s.start for s in part):
        return np.empty([s.stop - s.start + 2 * margin for s in part])
    rows, columns = (
        slice(core.start + s.start - margin, core.start + s.stop + margin)
        for core, s in zip(block.core, part, strict=True)
    )
    return block.image[rows, columns].astype(np.float64)


def laplacian(v: FloatArray) -> FloatArray:
    """Sum of the four neighbours minus four times the centre; (y + 2, x + 2) to (y, x)."""
    return v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:] - 4 * v[1:-1, 1:-1]


def twice_laplacian(v: FloatArray) -> FloatArray:
    """Difference of two Laplacians, 1 -2 1 along both axes; (y + 2, x + 2) to (y, x).

    Immerkær (1996), the mask N; gradients and curvature along the axes give 0.
    """
    rows = v[:-2] - 2 * v[1:-1] + v[2:]
    return rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]


@dataclass(frozen=True)
class LocalMean(Statistic):
    """Number of 3 × 3 windows that lie in the plane as a whole, and the sum of their figures."""

    local: Local
    margin = 1
    alone = True

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 2)."""
        part = block.inner(1)
        values = self.local(neighbourhood(block, part))
        return np.concatenate([block.pixels(part), block.sums(values[None], part)], axis=1)


def mean_of(row: npt.NDArray[np.float64]) -> float:
    """Read the mean off a row that begins with a count and a sum.

    Raises
    ------
    Undefined
        If there is no window.
    """
    if not row[0]:
        raise Undefined("no window of 3 × 3 pixels fits")
    return float(row[1] / row[0])


class LocalFocus(Metric):
    """Mean over the windows that lie in the plane as a whole; its map averages boxes of them."""

    better = "higher"
    columns: ClassVar[tuple[str, ...]]

    def __init__(self, name: str, local: Local) -> None:
        self.columns = self.maps = (name,)  # type: ignore[misc]
        self.statistic: LocalMean = LocalMean(local)

    @property
    def map_margin(self) -> int:
        """Pixels that a box and the windows in it see."""
        return BOX + 1

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """In squared units of the values; 0 for a constant image, undefined below 3 × 3 pixels."""
        return {self.columns[0]: mean_of(row)}

    def map(self, block: Block) -> Mapping[str, npt.NDArray[np.float32]]:
        """Mean over boxes of 15 × 15 pixels (y, x), as far as they lie in the plane.

        NaN where the plane is smaller than a window.
        """
        cut, pad = _framed(block, self.map_margin)
        values = block.image[cut].astype(np.float64)
        if min(values.shape) < 3:
            shape = [s.stop - s.start for s in block.place]
            return {self.columns[0]: np.full(shape, np.nan, np.float32)}
        values = self.statistic.local(values)
        counts = [_boxes(np.pad(np.ones(n), p)) for n, p in zip(values.shape, pad, strict=True)]
        sums = _boxes(_boxes(np.pad(values, pad)).T).T
        return {self.columns[0]: (sums / np.outer(*counts)).astype(np.float32)}


def _framed(block: Block, margin: int) -> tuple[Place, list[tuple[int, int]]]:
    """Which of a block's pixels lie within the margin, and how many the plane lacks there."""
    cut, pad = [], []
    sides = zip(block.core, block.place, block.shape, block.image.shape, strict=True)
    for core, place, side, length in sides:
        before, after = min(margin, place.start), min(margin, side - place.stop)
        if core.start < before or core.stop + after > length:
            raise ValueError(
                f"A block has {core.start} and {length - core.stop} pixels around its core, and "
                f"its map needs {margin}; give map_margin pixels, fewer only at the plane's edges."
            )
        cut.append(slice(core.start - before, core.stop + after))
        pad.append((margin - before, margin - after))
    return (cut[0], cut[1]), pad


def _boxes(values: FloatArray) -> FloatArray:
    """Sums of so many neighbours as a box is wide, along the first axis."""
    n = len(values) - 2 * BOX
    total = values[:n].copy()
    for i in range(1, 2 * BOX + 1):
        total += values[i : i + n]
    return total
