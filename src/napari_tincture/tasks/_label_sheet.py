"""Rows of a comparison of label images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.stained import stained_figures, stained_of
from napari_tincture.progress import CancelToken, Progress, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._areas import Areas
from napari_tincture.tasks._notes import Notes

Read = Callable[[Any], Figures]
"""Reads figures off the table of a region."""


class LabelSheet:
    """Rows of a table, one per image, plane and region.

    Parameters
    ----------
    metrics
        Give the columns.
    cells
        Labels of all cells, of which stained ones are counted; None: none are.
    notes
        Are told which figures are undefined.
    """

    def __init__(self, metrics: Sequence[LabelMetric], cells: Raster | None, notes: Notes) -> None:
        self._cells, self._notes = cells, notes
        self._counts: dict[Callable[..., Sequence[Any]], list[Read]] = {}
        for metric in metrics:
            self._counts.setdefault(metric.count, []).append(partial(self._judge, metric))
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self.better: dict[str, str] = {}

    @property
    def table(self) -> list[dict[str, Any]]:
        """All rows, image by image."""
        return [row for rows in self._rows.values() for row in rows]

    def add(
        self, name: str, image: Raster, reference: Raster, place: Mapping[str, int],
        areas: Areas | None, report: Progress, cancel: CancelToken,
    ) -> None:  # fmt: skip
        """Count one plane (y, x) of an image; every pixel is read once per kind of count."""
        regions = areas.names if areas else ("",)
        rows: list[dict[str, Any]] = [
            {"image": name, **place, **({"region": region} if region else {})} for region in regions
        ]
        counts = dict(self._counts)
        if self._cells is not None:
            cells = self._cells.plane(**{a: i for a, i in place.items() if a in self._cells.axes})
            counts[partial(stained_of, cells)] = [stained_figures]
        at = areas.at if areas else None
        for number, (count, reads) in enumerate(counts.items()):
            part = share(report, number, len(counts))
            tables = count(image, reference, at, len(regions), progress=part, cancel=cancel)
            for row, table in zip(rows, tables, strict=True):
                where = ", ".join(map(str, list(row.values())[: 1 + len(place) + bool(areas)]))
                for read in reads:
                    self._fill(row, read(table), where)
        self._rows.setdefault(name, []).extend(rows)

    def _judge(self, metric: LabelMetric, table: Any) -> Figures:
        figures = metric.figures(table)
        judged = {column: metric.better(column) for column in figures}
        self.better |= {column: better for column, better in judged.items() if better}
        return figures

    def _fill(self, row: dict[str, Any], figures: Figures, where: str) -> None:
        row |= {c: math.nan if value is None else value for c, value in figures.items()}
        for column, why in figures.undefined.items():
            self._notes.undefined(column, where, why)
