"""A folded part of the Synthesize panel: one map by several samplers and steps, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.tasks.comparison import cell_text
from napari_tincture.widgets._added import add_layers
from napari_tincture.widgets._form import Choice, Folding, Item, align_labels, form
from napari_tincture.widgets._plan import Plan
from napari_tincture.worker.jobs import Job
from napari_tincture.worker.sources import SOURCE

USUAL = "ddim 10, ddim 40, dpm_solver 10, dpm_solver 20, heun 20"
VARIED = ("sampler", "steps")
ROW = 24
"""Pixels of a row of the table."""


class SamplerComparison(Folding):
    """Which settings, perhaps a real image of the map, a button, and the table that comes."""

    run = Signal()

    def __init__(self) -> None:
        self.settings = QLineEdit(USUAL)
        self.settings.setToolTip("Samplers with their numbers of steps, with commas between")
        self.reference = Choice(
            [Item("none", "")], tooltip="A real image of the map that the images are compared with"
        )
        self.button = QPushButton("Compare samplers")
        self.button.setToolTip(
            "Draw the map by each, from the same seed; of a large map its middle. Turn on napari's "
            "grid to see the images side by side"
        )
        self.table = QTableWidget()
        self.table.setToolTip("Seconds, and how far each image is from that of the most steps")
        layout, body = form(), QWidget()
        layout.addRow("By", self.settings)
        layout.addRow("Real image", self.reference)
        align_labels(layout)
        whole = QVBoxLayout(body)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(layout)
        whole.addWidget(self.button)
        whole.addWidget(self.table)
        super().__init__("Compare samplers", body, tooltip="Times and figures of several settings")
        self.button.clicked.connect(lambda _: self.run.emit())
        self.show_rows(())

    def offer(self, layers: Sequence[str], *, shown: bool) -> None:
        """Show it, with the layers that can be the real image, or hide it."""
        self.reference.set_items([Item("none", ""), *(Item(name, name) for name in layers)])
        self.setVisible(shown)

    def varied(self, plan: Plan, reference: Raster | None) -> Plan:
        """The job that compares, of one that draws.

        Raises
        ------
        InputError
            If the settings cannot be read.
        """
        common = {k: v for k, v in plan.settings.options.items() if k not in VARIED}
        options: dict[str, Any] = {**common, "settings": parsed(self.settings.text())}
        sources = plan.sources
        if reference is not None:
            options["reference"] = {SOURCE: len(sources)}
            sources = (*sources, reference)
        settings = replace(
            plan.settings, task="compare_samplers", options=options, save_to=None, overwrite=False
        )
        return replace(plan, settings=settings, sources=sources)

    def finish(self, viewer: Any, job: Job) -> None:
        """Add the images, so that a grid shows them in their order, and fill the table."""
        for name in reversed(job.results):
            for layer in add_layers(viewer, job.results[name]):
                layer.name = name
        self.show_rows(job.table)

    def show_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show figures; without any, no table."""
        columns = list(rows[0]) if rows else []
        self.table.setColumnCount(len(columns))
        self.table.setRowCount(len(rows))
        self.table.setHorizontalHeaderLabels([name.replace("_", " ") for name in columns])
        for i, row in enumerate(rows):
            for j, name in enumerate(columns):
                self.table.setItem(i, j, QTableWidgetItem(cell_text(row[name])))
        self.table.resizeColumnsToContents()
        self.table.setFixedHeight(ROW * (len(rows) + 2))
        self.table.setVisible(bool(rows))


def parsed(text: str) -> list[dict[str, Any]]:
    """Settings as a person writes them: ``ddim 10, heun 20``.

    Raises
    ------
    InputError
        If a part is not a sampler and a number of steps.
    """
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        sampler, _, steps = part.rpartition(" ")
        if not sampler or not steps.isdecimal():
            raise InputError(
                f"{part!r} is no sampler with a number of steps; write such as 'ddim 40, heun 20'."
            )
        found.append({"sampler": sampler.strip(), "steps": int(steps)})
    return found
