"""What images should show: a plane of classes, or an image to enlarge, window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_tincture.grid import mirror_index


class Subject(Protocol):
    """A plane that a denoiser is conditioned on.

    Attributes
    ----------
    shape
        Height and width; beyond, it is mirrored.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""

    def condition(self, y: slice, x: slice) -> Tensor:
        """(k, y, x) float32 of a window, which may reach beyond the edges."""

    def coarser(self, factor: int) -> Self:
        """The same, that many times smaller; sides are rounded up."""

    def changed(self, other: Self) -> NDArray[np.bool_]:
        """Where (y, x) another one of the same size shows something else."""


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Classes, given to the denoiser as one channel each.

    Attributes
    ----------
    classes
        (y, x) numbers of classes from 0; -1: none, no channel is set.
    count
        How many classes there are.
    edges
        (y, x) bool, whether a pixel lies beside another instance; None for denoisers that are not
        told.
    """

    classes: NDArray[np.int16]
    count: int
    edges: NDArray[np.bool_] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.classes.shape
        return height, width

    def condition(self, y: slice, x: slice) -> Tensor:
        """(classes + 1 if there are edges, y, x), 0 or 1."""
        own = _window(self.classes, y, x)
        planes = own == np.arange(self.count, dtype=own.dtype)[:, None, None]
        if self.edges is not None:
            planes = np.concatenate([planes, _window(self.edges, y, x)[None]])
        return torch.from_numpy(planes.astype(np.float32))

    def coarser(self, factor: int) -> LabelMap:
        """Every pixel takes the class in the middle of those that it stands for, and any edge."""
        half = factor // 2
        rows, columns = (np.minimum(np.arange(half, n + half, factor), n - 1) for n in self.shape)
        edges = self.edges
        if edges is not None:
            # The middle alone would leave gaps in edges, which are two pixels wide.
            for axis, length in enumerate(self.shape):
                edges = np.logical_or.reduceat(edges, np.arange(0, length, factor), axis)
        return LabelMap(self.classes[np.ix_(rows, columns)], self.count, edges)

    def changed(self, other: LabelMap) -> NDArray[np.bool_]:
        """Where classes or edges differ."""
        found: NDArray[np.bool_] = self.classes != other.classes
        if self.edges is not None and other.edges is not None:
            found |= self.edges != other.edges
        return found


@dataclass(frozen=True, eq=False)
class Picture:
    """An image that is given to the denoiser as it is.

    Attributes
    ----------
    values
        (c, y, x) float32 as the network takes them.
    """

    values: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        _, height, width = self.values.shape
        return height, width

    def condition(self, y: slice, x: slice) -> Tensor:
        """(c, y, x) of the image."""
        return torch.from_numpy(np.stack([_window(plane, y, x) for plane in self.values]))

    def coarser(self, factor: int) -> Picture:
        """Means of squares."""
        height, width = self.shape
        rows, columns = (mirror_index(0, -(-n // factor) * factor, n) for n in (height, width))
        whole = self.values[:, rows][:, :, columns]
        tall, wide = len(rows) // factor, len(columns) // factor
        return Picture(whole.reshape(-1, tall, factor, wide, factor).mean((2, 4)))

    def changed(self, other: Picture) -> NDArray[np.bool_]:
        """Where any channel differs."""
        found: NDArray[np.bool_] = (self.values != other.values).any(0)
        return found


@dataclass(frozen=True)
class Nothing:
    """For denoisers that are told nothing but where the image ends."""

    shape: tuple[int, int]

    def condition(self, y: slice, x: slice) -> Tensor:
        """(0, y, x)."""
        return torch.zeros(0, y.stop - y.start, x.stop - x.start)

    def coarser(self, factor: int) -> Nothing:
        """As many times smaller."""
        height, width = (-(-n // factor) for n in self.shape)
        return Nothing((height, width))

    def changed(self, other: Nothing) -> NDArray[np.bool_]:
        """Nowhere."""
        return np.zeros(self.shape, bool)


def _window(plane: NDArray[Any], y: slice, x: slice) -> NDArray[Any]:
    """A window of a plane (y, x), mirrored beyond its edges."""
    height, width = plane.shape
    if y.start >= 0 and x.start >= 0 and y.stop <= height and x.stop <= width:
        return plane[y, x]
    rows, columns = mirror_index(y.start, y.stop, height), mirror_index(x.start, x.stop, width)
    return plane[np.ix_(rows, columns)]
