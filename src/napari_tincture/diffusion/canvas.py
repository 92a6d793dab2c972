"""Images larger than a denoiser's windows: what overlapping windows say is one at every step.

After Bar-Tal et al., MultiDiffusion: fusing diffusion paths for controlled image generation, ICML
2023, equations 4 and 5, with weights that fall smoothly towards the windows' edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_tincture.errors import InputError

Place = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Line:
    """Windows along one axis.

    Attributes
    ----------
    start, size
        Of the canvas, in pixels of the plane.
    window, overlap
        Length of a window, and what neighbours share at least.
    """

    start: int
    size: int
    window: int
    overlap: int

    @property
    def starts(self) -> tuple[int, ...]:
        """Where windows start, from the canvas' start on; the last one ends with the canvas."""
        length = min(self.window, self.size)
        last = self.size - length
        if not last:
            return (0,)
        step = length - self.overlap
        return (*range(0, last, step), last)

    @property
    def length(self) -> int:
        """Of every window."""
        return min(self.window, self.size)

    def weights(self) -> NDArray[np.float32]:
        """(windows, length) shares that add up to 1 at every pixel, smooth within overlaps."""
        starts, length = self.starts, self.length
        place = np.arange(length, dtype=np.float64) + 0.5
        found = np.ones((len(starts), length))
        for number, start in enumerate(starts):
            if number:
                shared = starts[number - 1] + length - start
                found[number] *= _rise(place, shared)
            if number + 1 < len(starts):
                shared = start + length - starts[number + 1]
                found[number] *= _rise(length - place, shared)
        total = np.zeros(self.size)
        for start, own in zip(starts, found, strict=True):
            total[start : start + length] += own
        for start, own in zip(starts, found, strict=True):
            own /= total[start : start + length]
        return found.astype(np.float32)


def _rise(place: NDArray[np.float64], shared: int) -> NDArray[np.float64]:
    rise: NDArray[np.float64] = np.sin(np.clip(place / max(shared, 1), 0, 1) * np.pi / 2) ** 2
    return rise


@dataclass(frozen=True, slots=True)
class Canvas:
    """A rectangle of a plane, cut into windows.

    Attributes
    ----------
    y, x
        Windows along the axes; their product covers the rectangle.
    """

    y: Line
    x: Line

    @classmethod
    def of(cls, bounds: Place, window: int, overlap: int, stride: int = 1) -> Canvas:
        """A canvas of a rectangle; all windows start and end on multiples of a denoiser's stride.

        Raises
        ------
        InputError
            If the rectangle's edges, the window or the overlap are no such multiples.
        """
        edges = [edge for s in bounds for edge in (s.start, s.stop)]
        if any(length % stride for length in (*edges, window, overlap)):
            raise InputError(
                f"Canvas edges {edges}, windows of {window} pixels and overlaps of {overlap}: "
                f"expected multiples of the denoiser's stride, {stride}. Change window and overlap "
                "on the model's card."
            )
        return cls(*(Line(s.start, s.stop - s.start, window, overlap) for s in bounds))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.y.size, self.x.size

    @property
    def bounds(self) -> Place:
        """The rectangle, in pixels of the plane."""
        y, x = (slice(line.start, line.start + line.size) for line in (self.y, self.x))
        return y, x

    def windows(self, rows: Sequence[int] | None = None) -> Iterator[Place]:
        """All windows, in pixels of the canvas; or those of some rows of windows."""
        tops = self.y.starts
        for number in range(len(tops)) if rows is None else rows:
            for left in self.x.starts:
                yield (
                    slice(tops[number], tops[number] + self.y.length),
                    slice(left, left + self.x.length),
                )

    @property
    def count(self) -> int:
        """How many windows there are."""
        return len(self.y.starts) * len(self.x.starts)

    def fuse(
        self, part: Callable[[Sequence[Place]], Tensor], channels: int, together: int,
        device: torch.device,
    ) -> Tensor:  # fmt: skip
        """Fuse what windows say.

        Parameters
        ----------
        part
            Gives (n, channels, y, x) of n windows.
        together
            How many windows are asked for at once.

        Returns
        -------
        Tensor
            (1, channels, y, x) float32 on the device.
        """
        result = torch.zeros((1, channels, *self.shape), device=device)
        for top, found in self.rows(part, channels, together, device):
            result[:, :, top : top + self.y.length] += found
        return result

    def rows(
        self, part: Callable[[Sequence[Place]], Tensor], channels: int, together: int,
        device: torch.device, numbers: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, Tensor]]:  # fmt: skip
        """What each row of windows adds to what is fused, and where it begins.

        Parameters
        ----------
        numbers
            Of the rows; None: all.

        Yields
        ------
        int, Tensor
            First of its pixel rows, and (1, channels, window, x).
        """
        along_y, along_x = (torch.from_numpy(s.weights()).to(device) for s in (self.y, self.x))
        chosen = range(len(along_y)) if numbers is None else numbers
        shares = (torch.outer(along_y[number], across) for number in chosen for across in along_x)
        windows = list(self.windows(chosen))
        values = _asked(windows, part, together)
        for number in chosen:
            found = torch.zeros((1, channels, self.y.length, self.shape[1]), device=device)
            for left in self.x.starts:
                own = next(values).to(device) * next(shares)
                found[0, :, :, left : left + self.x.length] += own
            yield self.y.starts[number], found


def _asked(
    windows: Sequence[Place], part: Callable[[Sequence[Place]], Tensor], together: int
) -> Iterator[Tensor]:
    """What windows say, one after the other, asked so many at once."""
    for first in range(0, len(windows), together):
        yield from part(windows[first : first + together])
