"""Networks that cannot be looked into: images of any size for programs of legal sizes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from napari_tincture.grid import Geometry, mirror_index

USUAL_HALO = 64
"""Pixels by which tiles overlap where nobody says how far a network sees."""
OPAQUE = "the network is a program that cannot be looked into; its halo is what its package says"


class Sizes:
    """Sides of the images that a network takes, y and x alike.

    Parameters
    ----------
    minimum, step
        Pixels; legal sides are ``minimum + n * step``, and with step 0 `minimum` alone.
    halo
        Pixels at each border of the output that are not to be trusted.
    margin
        Pixels by which the output is smaller than the input, on each side.
    """

    def __init__(
        self, minimum: Sequence[int], step: Sequence[int], halo: int = 0, margin: int = 0
    ) -> None:
        self.minimum, self.step = tuple(minimum), tuple(step)
        self.halo, self.margin = halo, margin

    @property
    def geometry(self) -> Geometry:
        """Windows for tiling; what is of no legal side is extended within the network."""
        stride = math.lcm(*(step or 1 for step in self.step))
        # Beyond the rim that is not to be trusted, overlaps as wide are blended.
        halo = 2 * self.halo or USUAL_HALO
        if all(self.step):
            # Else a window at the border could be too small, and be mirrored where the image ends.
            halo = max(halo, *self.minimum)
        halo = math.ceil(halo / stride) * stride
        if not self.margin:
            return Geometry(stride, halo, rim=self.halo)
        residue = self.minimum[0] % stride if all(self.step) else 0
        return Geometry(stride, 0, "mirror", self.margin, residue)

    def windows(self, length: int, axis: int) -> list[tuple[int, int, int, int]]:
        """(start, stop, kept start, kept stop) along an axis, in pixels of the given image."""
        least, step, margin = self.minimum[axis], self.step[axis], self.margin
        if step or length <= least:
            size = least + math.ceil(max(length - least, 0) / max(step, 1)) * step
            return [(0, size, margin, length - margin)]
        rim = max(self.halo, margin)
        moved = max(least - 2 * rim, 1)
        starts = sorted({*range(0, length - least, moved), length - least})
        edges = [margin, *(start + least - rim for start in starts[:-1]), length - margin]
        return [
            (start, start + least, first, last)
            for start, first, last in zip(starts, edges[:-1], edges[1:], strict=True)
        ]


class OpaqueNetwork(nn.Module):
    """A program from (b, c, y, x) to (b, c', y, x), at any size of the image.

    Parameters
    ----------
    run
        Calls the program on an image of a legal size.
    """

    def __init__(self, run: nn.Module, sizes: Sizes) -> None:
        super().__init__()
        self.run, self.sizes = run, sizes

    def forward(self, x: Tensor) -> Tensor:
        """Extend an image (…, y, x) to a legal size by mirroring, run and cut.

        Images larger than a program of fixed size takes are run in overlapping windows.
        """
        height, width = x.shape[-2:]
        margin = self.sizes.margin
        result: Tensor | None = None
        for y, x_ in product(self.sizes.windows(height, 0), self.sizes.windows(width, 1)):
            output = self.run(_cut(x, y, x_))
            if result is None:
                shape = (*output.shape[:-2], height - 2 * margin, width - 2 * margin)
                result = output.new_empty(shape)
            ours, theirs = zip(*(_places(span, margin) for span in (y, x_)), strict=True)
            result[(..., *ours)] = output[(..., *theirs)]
        assert result is not None
        return result


def _cut(image: Tensor, y: Sequence[int], x: Sequence[int]) -> Tensor:
    for axis, (start, stop, *_) in ((-2, y), (-1, x)):
        length = image.shape[axis]
        if (start, stop) != (0, length):
            places = torch.from_numpy(mirror_index(start, stop, length)).to(image.device)
            image = image.index_select(axis, places)
    return image


def _places(span: Sequence[int], margin: int) -> tuple[slice, slice]:
    """Where a window's kept part lies in the result, and in the window's output."""
    start, _, first, last = span
    origin = start + margin
    return slice(first - margin, last - margin), slice(first - origin, last - origin)
