"""Rows of a comparison of label images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from napari_tincture.metrics.labels.metric import Figures, LabelMetric
from napari_tincture.metrics.labels.stained import stained_figures, stained_of
from napari_tincture.progress import CancelToken, Progress, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._compared import Pass
from napari_tincture.tasks._notes import Notes, by_number

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
        self._why: dict[int, dict[str, str]] = {}
        self.better: dict[str, str] = {}

    @property
    def table(self) -> list[dict[str, Any]]:
        """All rows, image by image."""
        return [row for rows in self._rows.values() for row in rows]

    @property
    def undefined(self) -> dict[tuple[int, str], str]:
        """Why there is no figure, by number of the row and column."""
        return by_number(self.table, self._why)

    def add(
        self, name: str, image: Raster, one: Pass, report: Progress, cancel: CancelToken
    ) -> None:
        """Count one plane (y, x) of an image; every pixel is read once per kind of count."""
        regions = one.areas.names if one.areas else ("",)
        rows: list[dict[str, Any]] = [
            {"image": name, **one.at, **({"region": region} if region else {})}
            for region in regions
        ]
        wheres = [", ".join(map(str, row.values())) for row in rows]
        counts = dict(self._counts)
        if self._cells is not None:
            cells = self._cells.plane(
                **{a: i for a, i in one.at.items() if self._cells.sizes.get(a, 1) > 1},
                **{a: 0 for a in one.at if self._cells.sizes.get(a) == 1},
            )
            counts[partial(stained_of, cells)] = [stained_figures]
        at = one.areas.at if one.areas else None
        for number, (count, reads) in enumerate(counts.items()):
            part = share(report, number, len(counts))
            tables = count(image, one.plane, at, len(regions), progress=part, cancel=cancel)
            for row, table, where in zip(rows, tables, wheres, strict=True):
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
        self._why.setdefault(id(row), {}).update(figures.undefined)
