"""A comparison as PDF, through matplotlib."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import wrap

from napari_tincture.errors import OutputError
from napari_tincture.io.output import writing
from napari_tincture.tasks.comparison import Comparison, cell_text
from napari_tincture.tasks.report import images_of, maps_of, origins_of

ROWS = 36
"""Of a table on one page."""
LINES, WIDTH = 70, 100
"""Of text on one page."""
A4 = (8.27, 11.69)


def write_pdf(found: Comparison, target: Path) -> None:
    """Write table, pictures and settings, page by page.

    Raises
    ------
    OutputError
        If matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_pdf import PdfPages
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError(
            "A PDF needs matplotlib: pip install matplotlib. An HTML report needs nothing."
        ) from error
    title = f"Comparison with {found.settings.get('reference') or 'the reference'}"
    with writing(target), PdfPages(target, metadata={"Title": title}) as pages:
        cells = [[cell_text(row.get(name)) for name in found.columns] for row in found.table]
        for first in range(0, len(cells), ROWS):
            figure = Figure(figsize=A4)
            axes = figure.add_axes((0.05, 0.05, 0.9, 0.85))
            axes.set_axis_off()
            figure.suptitle(title)
            axes.table(cells[first : first + ROWS], colLabels=found.columns, loc="upper center")
            pages.savefig(figure)
        for name, picture in (*images_of(found), *maps_of(found)):
            figure = Figure(figsize=A4)
            axes = figure.add_axes((0.05, 0.1, 0.9, 0.8))
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            axes.set_title("\n".join(wrap(name, 80)), fontsize=9)
            pages.savefig(figure)
        settings = json.dumps(dict(found.settings), indent=1, default=str)
        lines = [
            part
            for text in (*found.notes, settings, *origins_of(found))
            for line in text.splitlines()
            for part in wrap(line, WIDTH, replace_whitespace=False) or [""]
        ]
        for first in range(0, len(lines), LINES):
            figure = Figure(figsize=A4)
            text = "\n".join(lines[first : first + LINES])
            figure.text(0.06, 0.96, text, va="top", family="monospace", fontsize=7)
            pages.savefig(figure)
