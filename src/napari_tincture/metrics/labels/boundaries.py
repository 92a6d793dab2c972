"""Boundaries between classes: how well they agree, up to a tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from napari_tincture.metrics.labels.classes import Names, as_names
from napari_tincture.metrics.labels.contours import Boundaries, boundaries_of
from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.stream import Regions
from napari_tincture.raster import Raster

TOLERANCE = 2.0
"""Pixels that boundaries may lie apart."""


def boundary_figures(boundaries: Boundaries, names: Names | None = None) -> Figures:
    """Figures of the boundaries between classes.

    Parameters
    ----------
    boundaries
        Of two class maps.
    names
        As of `class_figures`.

    Returns
    -------
    Figures
        ``mean_boundary_f1``, over the classes that have a boundary in either image; for each class
        ``boundary_f1_<name>``.
    """
    named, figures = as_names(names), Figures()
    figures.take("mean_boundary_f1", boundaries.mean_f1)
    for label in sorted({*boundaries.counts, *named}):
        column = f"boundary_f1_{named.get(label, label)}"
        figures.take(column, partial(boundaries.f1, label))
    return figures


def _count(
    found: Raster, expected: Raster, regions: Regions | None = None, count: int = 1, **rest: Any
) -> Sequence[Boundaries]:
    return boundaries_of(found, expected, TOLERANCE, regions, count, **rest)


class ClassBoundaries(LabelMetric):
    """Boundary F1 of labels that are classes of pixels, within 2 pixels."""

    count = staticmethod(_count)

    def figures(self, table: Boundaries) -> Figures:
        """Give `boundary_figures`."""
        return boundary_figures(table)


METRIC = ClassBoundaries()
"""Within `TOLERANCE`."""
