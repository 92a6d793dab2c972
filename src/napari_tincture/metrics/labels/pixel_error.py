"""Pixels that are background in one image and object in the other, as a share of all.

The pixel error of the ISBI 2012 challenge, where membrane is background.
"""

from __future__ import annotations

from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.overlap import Overlap
from napari_tincture.metrics.labels.stream import overlaps_of
from napari_tincture.metrics.metric import Undefined


def pixel_error(overlap: Overlap) -> float:
    """Share of the pixels, 0 … 1, that are 0 in one image only.

    Arganda-Carreras et al., Front Neuroanat 2015: the squared Euclidean distance of binary images
    over their number of pixels.

    Raises
    ------
    Undefined
        If no pixel was compared.
    """
    if not overlap.total:
        raise Undefined("no pixel was compared")
    differ = (overlap.found > 0) != (overlap.expected > 0)
    return float(overlap.pixels[differ].sum() / overlap.total)


class PixelError(LabelMetric):
    """``pixel_error``; see `pixel_error`."""

    count = staticmethod(overlaps_of)
    lower = ("pixel_error",)

    def figures(self, table: Overlap) -> Figures:
        """Give ``pixel_error``."""
        figures = Figures()
        figures.take("pixel_error", lambda: pixel_error(table))
        return figures


METRIC = PixelError()
"""Of background and objects."""
