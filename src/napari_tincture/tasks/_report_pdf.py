"""A comparison as PDF, through matplotlib."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from textwrap import wrap
from typing import Any

from napari_tincture.errors import OutputError
from napari_tincture.io.output import writing
from napari_tincture.io.provenance import versions
from napari_tincture.tasks._pictures import Picture
from napari_tincture.tasks._report_parts import cards_of, images_of, maps_of, origins_of
from napari_tincture.tasks.comparison import PLACES, Comparison, cell_text

A4 = (8.27, 11.69)
LINES, WIDTH = 76, 108
"""Lines on a page, and characters in a line."""
LONGEST = 36
"""Characters of a cell."""
GRID = (3, 2)
"""Rows and columns of pictures on a page."""


def write_pdf(found: Comparison, target: Path) -> None:
    """Write table, notes, pictures, settings and origins, page by page.

    Raises
    ------
    OutputError
        If matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_pdf import PdfPages
    except ImportError as error:
        raise OutputError(
            "A PDF needs matplotlib: pip install matplotlib. An HTML report needs nothing."
        ) from error
    title = f"Comparison with {found.settings.get('reference') or 'the reference'}"
    with writing(target), PdfPages(target, metadata={"Title": title}) as pages:
        for figure in _pages(found, title):
            pages.savefig(figure)


def _pages(found: Comparison, title: str) -> Iterator[Any]:
    notes = [part for note in found.notes for part in wrap(f"* {note}", WIDTH)]
    yield from _text([title, "", *table_lines(found), "", *notes])
    yield from _pictures([*images_of(found), *maps_of(found)])
    settings = json.dumps(dict(found.settings), indent=1, default=str)
    origins = (f"{origin}\n" for origin in origins_of(found))
    cards = (f"Model {name}\n{card}\n" for name, card in cards_of(found))
    lines = "\n".join(
        [*origins, *cards, settings, "", json.dumps(versions(), indent=1)]
    ).splitlines()
    wrapped = (wrap(line, WIDTH, drop_whitespace=False) or [""] for line in lines)
    yield from _text(chain.from_iterable(wrapped))


def table_lines(found: Comparison, width: int = WIDTH) -> list[str]:
    """The table as lines of equal letters; columns that do not fit follow below the others."""
    cells = {
        name: [name, *(_short(cell_text(row.get(name))) for row in found.table)]
        for name in found.columns
    }
    wide = {name: max(map(len, column)) for name, column in cells.items()}
    places = [name for name in found.columns if name in PLACES]
    start = sum(wide[name] + 2 for name in places)
    groups: list[list[str]] = [[]]
    for name in found.figures:
        taken = sum(wide[other] + 2 for other in groups[-1])
        if groups[-1] and start + taken + wide[name] > width:
            groups.append([])
        groups[-1].append(name)
    lines: list[str] = []
    for group in groups:
        for number in range(len(found.table) + 1):
            left = (cells[name][number].ljust(wide[name]) for name in places)
            right = (cells[name][number].rjust(wide[name]) for name in group)
            lines.append("  ".join([*left, *right]))
        lines.append("")
    return lines[:-1]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _text(lines: Iterable[str]) -> Iterator[Any]:
    from matplotlib.figure import Figure

    for page in _batched(lines, LINES):
        figure = Figure(figsize=A4)
        figure.text(
            0.06, 0.96, "\n".join(page), va="top", family="monospace", fontsize=7.5,
            parse_math=False,
        )  # fmt: skip
        yield figure


def _pictures(pictures: Sequence[tuple[str, Picture]]) -> Iterator[Any]:
    from matplotlib.figure import Figure

    rows, columns = GRID
    for page in _batched(pictures, rows * columns):
        figure = Figure(figsize=A4, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for place in axes:
            place.set_axis_off()
        for place, (name, picture) in zip(axes, page, strict=False):
            place.imshow(picture, interpolation="nearest")
            place.set_title("\n".join(wrap(name, 52)), fontsize=7.5, parse_math=False)
        yield figure
