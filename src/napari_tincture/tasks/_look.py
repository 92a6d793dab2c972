"""What results of drawn planes look like: their axes, type and values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import spanning
from napari_tincture.diffusion.canvas import Place
from napari_tincture.tiling.lazy import result_axes, to_axes

Plane = tuple[int, ...]
"""Place along the leading axes t and z."""
Block = npt.NDArray[Any]


@dataclass(frozen=True)
class Look:
    """What the result of a drawn plane looks like.

    Attributes
    ----------
    leading, counts
        Axes t and z that planes lie along, and how many there are.
    shape
        Height and width of a plane.
    channels
        Of the result; None for one channel without an axis of its own.
    limits
        Values that the least and greatest integers stand for.
    """

    leading: str
    counts: tuple[int, ...]
    shape: tuple[int, int]
    channels: int | None
    dtype: np.dtype[Any]
    limits: tuple[float, float]

    @property
    def axes(self) -> str:
        """Of the result."""
        return result_axes(self.leading, self.channels is not None)

    @property
    def planes(self) -> list[Plane]:
        """All of them."""
        return list(product(*map(range, self.counts)))

    def block(self, values: npt.NDArray[np.float32]) -> Block:
        """Drawn values (c, y, x) in the result's type and with its axes."""
        found = spanning(values, self.dtype, self.limits)
        return to_axes(found, self.leading, self.channels is not None)

    def index(self, plane: Plane, place: Place) -> tuple[slice, ...]:
        """Where a rectangle of a plane lies in the result."""
        where = dict(zip(self.leading, (slice(i, i + 1) for i in plane), strict=True))
        where |= {"c": slice(0, self.channels or 1), "y": place[0], "x": place[1]}
        return tuple(where[axis] for axis in self.axes)
