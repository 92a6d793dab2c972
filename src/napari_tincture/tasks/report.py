"""A comparison as one page that needs nothing else: table, pictures, settings, and what was run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from napari_tincture.errors import OutputError
from napari_tincture.io.output import writing
from napari_tincture.io.provenance import versions
from napari_tincture.tasks._pictures import Picture, as_uri
from napari_tincture.tasks._report_parts import cards_of, images_of, maps_of, origins_of
from napari_tincture.tasks.comparison import PLACES, Comparison, cell_text

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem;
       color: #1c1c1c; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse } th, td { padding: .3rem .7rem; text-align: right }
th { border-bottom: 2px solid #444; cursor: pointer } td { border-bottom: 1px solid #ddd }
.place { text-align: left } .best { font-weight: 700 }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top }
figcaption { font-size: .85rem; color: #555; max-width: 480px }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem }
img { image-rendering: pixelated; max-width: 480px }
"""
_SORT = """
document.querySelectorAll('th').forEach((head, column) => head.addEventListener('click', () => {
  const body = head.closest('table').tBodies[0], up = head.dataset.up !== '1';
  head.dataset.up = up ? '1' : '0';
  const value = row => { const t = row.cells[column].dataset.value; return isNaN(t) ? t : +t };
  [...body.rows].sort((a, b) => { const x = value(a), y = value(b);
    return (x > y ? 1 : x < y ? -1 : 0) * (up ? 1 : -1) }).forEach(row => body.append(row));
}));
"""


def write_report(found: Comparison, path: str | Path) -> Path:
    """Write a comparison to a file, ``.html`` or ``.pdf``.

    Parameters
    ----------
    found
        What `compare` gave.
    path
        Of the file; a PDF needs matplotlib.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If the name ends otherwise, or the file cannot be written.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() == ".pdf":
        from napari_tincture.tasks._report_pdf import write_pdf

        write_pdf(found, target)
        return target
    if target.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{target} names no kind of report. End it with .html or .pdf.")
    with writing(target):
        target.write_text(page_of(found), "utf-8")
    return target


def page_of(found: Comparison) -> str:
    """The page, HTML."""
    title = f"Comparison with {found.settings.get('reference') or 'the reference'}"
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    notes = "".join(f"<li>{escape(note)}</li>" for note in found.notes)
    parts = [
        f"<h1>{escape(title)}</h1><p>{when}</p>",
        f"<h2>Figures</h2>{_table(found)}",
        f"<h2>To be known</h2><ul>{notes}</ul>" if notes else "",
        f"<h2>Images</h2>{''.join(_figure(*p) for p in images_of(found))}",
        f"<h2>Maps</h2>{''.join(_figure(*p) for p in maps_of(found))}" if found.maps else "",
        f"<h2>Settings</h2>{_pre(json.dumps(dict(found.settings), indent=1, default=str))}",
        f"<h2>How the images were made</h2>{''.join(map(_pre, origins_of(found)))}",
        *(f"<h2>Model {escape(name)}</h2>{_pre(card)}" for name, card in cards_of(found)),
        f"<h2>Versions</h2>{_pre(json.dumps(versions(), indent=1))}",
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}<script>{_SORT}</script></body></html>"
    )


def _table(found: Comparison) -> str:
    best = found.best
    head = "".join(f"<th{_kind(name)}>{escape(name)}</th>" for name in found.columns)
    rows = "".join(
        "<tr>"
        + "".join(_cell(name, row.get(name), (i, name) in best) for name in found.columns)
        + "</tr>"
        for i, row in enumerate(found.table)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(name: str, value: Any, is_best: bool) -> str:
    kind = ' class="best"' if is_best else _kind(name)
    text, raw = escape(cell_text(value)), escape(str(value))
    return f'<td{kind} data-value="{raw}">{text}</td>'


def _kind(name: str) -> str:
    return ' class="place"' if name in PLACES else ""


def _figure(caption: str, picture: Picture) -> str:
    text = escape(caption)
    image = f'<img src="{as_uri(picture)}" alt="{text}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"
