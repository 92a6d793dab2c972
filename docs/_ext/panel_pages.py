"""A page with every panel of the manifest: its picture and what it is for."""

from __future__ import annotations

from importlib import import_module
from inspect import getdoc
from pathlib import Path

from manifest_panels import Panel, panels

HOW = """# Panels

*Plugins › napari-tincture* has them all; most are also where napari keeps such things, under
*Layers › Filter*, *Segment*, *Annotate* and *Measure*. Every control has a tooltip.
"""


def write_panels(source: Path) -> dict[str, str]:
    """One page; `source` is the folder of the pages, where ``panels`` has the pictures."""
    return {"panels.md": "\n".join([HOW, *(_section(each, source) for each in panels())])}


def _section(panel: Panel, source: Path) -> str:
    module, _, name = panel.python_name.partition(":")
    said = getdoc(getattr(import_module(module), name)) or ""
    about = said.partition("\n\nParameters")[0]
    picture = f"panels/{panel.name}.png"
    shown = f"\n![The {panel.title} panel](../{picture})\n" if (source / picture).exists() else ""
    return f"## {panel.title}\n\n{about}\n{shown}"
