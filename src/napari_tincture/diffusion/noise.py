"""Noise that belongs to places: the same seed gives the same noise at a pixel, whoever asks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tincture.errors import InputError

BLOCK = 64
"""Side of the squares that are drawn at once; part of what a seed means."""
LARGEST_SEED = 2**64 - 1
STREAMS = 2**20
"""Draws at a place that each level of smaller drawings has for itself."""


@dataclass(frozen=True, slots=True)
class NoiseField:
    """An endless plane of standard normal noise.

    Blocks of 64 × 64 pixels come from Philox counters (Salmon et al., Parallel random numbers: as
    easy as 1, 2, 3, SC 2011) that are the block's place, by the Box–Muller transform: numpy keeps
    these streams the same in all releases, which it does not promise of its normal variates.

    Attributes
    ----------
    seed
        From 0 to 2⁶⁴ - 1.
    plane
        Which of several planes that share a seed; of the same range.
    """

    seed: int
    plane: int = 0

    def __post_init__(self) -> None:
        for name, value in (("seed", self.seed), ("plane", self.plane)):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or not 0 <= value <= LARGEST_SEED:
                raise InputError(f"{name}={value!r}: expected a whole number from 0 to 2⁶⁴ - 1.")

    def draw(self, stream: int, channels: int, y: slice, x: slice) -> NDArray[np.float32]:
        """Noise (channels, y, x) float32 of a window, which may lie anywhere on the plane.

        `stream`, from 0 on, tells draws at one place apart. Fewer channels are the first ones of
        more.
        """
        result = np.empty((channels, y.stop - y.start, x.stop - x.start), np.float32)
        for top in range(y.start // BLOCK * BLOCK, y.stop, BLOCK):
            rows = slice(max(y.start, top), min(y.stop, top + BLOCK))
            for left in range(x.start // BLOCK * BLOCK, x.stop, BLOCK):
                columns = slice(max(x.start, left), min(x.stop, left + BLOCK))
                block = self._block(stream, channels, top // BLOCK, left // BLOCK)
                result[:, _from(rows, y.start), _from(columns, x.start)] = block[
                    :, _from(rows, top), _from(columns, left)
                ]
        return result

    def _block(self, stream: int, channels: int, row: int, column: int) -> NDArray[np.float32]:
        # Without their dtype, numbers above 2⁶³ would be rounded to floats.
        place = np.array([0, stream, row % 2**64, column % 2**64], np.uint64)
        key = np.array([self.seed, self.plane], np.uint64)
        generator = np.random.Philox(key=key, counter=place)
        raw = generator.random_raw(channels * BLOCK * BLOCK)
        # In (0, 1], so that the logarithm is finite; and in [0, 1).
        radius = np.sqrt(-2 * np.log(((raw >> np.uint64(32)) + 1.0) * 2.0**-32))
        angle = (raw & np.uint64(0xFFFFFFFF)) * (2.0**-32 * 2 * np.pi)
        block: NDArray[np.float32] = (radius * np.cos(angle)).astype(np.float32)
        return block.reshape(channels, BLOCK, BLOCK)


def _from(span: slice, start: int) -> slice:
    return slice(span.start - start, span.stop - start)
