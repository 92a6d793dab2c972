"""Colour difference ΔE₀₀ as the eye sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics._lab import ciede2000, to_lab
from napari_tincture.metrics.metric import NO_PIXELS, Block, Metric, State, Statistic, Undefined

PIXELS = 2**14
"""That are converted together: what they need stays in the processor's cache."""


@dataclass(frozen=True)
class ColourDifference(Statistic):
    """Number of pixels, and the sum of their CIEDE2000 differences."""

    colour = True

    def measure(self, block: Block) -> State:
        """Give the rows; (regions, 2)."""
        return np.concatenate([block.pixels(), block.sums(differences(block)[None])], axis=1)


def differences(block: Block) -> npt.NDArray[np.float64]:
    """CIEDE2000 of every pixel of the core (y, x).

    Raises
    ------
    InputError
        If the images are not red, green and blue.
    """
    if len(block.image) != 3 or block.image.ndim != 3:
        raise InputError(
            f"Colour differences are of three channels, red, green and blue; the images have shape "
            f"{block.image.shape}. Choose three channels."
        )
    cut = (slice(None), *block.core)
    image, reference = block.image[cut], block.reference[cut]
    height, width = image.shape[1:]
    out = np.empty((height, width))
    for rows in _strips(height, width):
        labs = (to_lab(v[:, rows], block.data_range) for v in (image, reference))
        out[rows] = ciede2000(*labs)
    return out


def _strips(height: int, width: int) -> Iterator[slice]:
    rows = max(1, PIXELS // max(width, 1))
    return (slice(top, top + rows) for top in range(0, height, rows))


class MeanColourDifference(Metric):
    """Mean over pixels of CIEDE2000, after conversion from sRGB to CIELAB under D65."""

    statistic, columns, better = ColourDifference(), ("delta_e",), "lower"
    maps = averaged = ("delta_e",)

    def figures(self, row: npt.NDArray[np.float64], data_range: float) -> Mapping[str, float]:
        """From 0; 1 is about what can just be seen. Undefined where there are no pixels."""
        if not row[0]:
            raise Undefined(NO_PIXELS)
        return {"delta_e": float(row[1] / row[0])}

    def map(self, block: Block) -> Mapping[str, npt.NDArray[np.float32]]:
        """Colour difference of every pixel."""
        return {"delta_e": differences(block).astype(np.float32)}


METRIC = MeanColourDifference()
"""With the weights kL = kC = kH = 1."""
