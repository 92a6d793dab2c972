"""Running the Python of the documentation's pages: for the tests, and for the pictures they show.

Fences that begin with ```` ```python ```` are run, one after another, in one namespace per page;
what needs a user's own files is in ```` ```{code-block} python ```` and is not. A comment such as
``<!-- picture: pictures/stain.png = phase, dapi -->`` names a picture that `page_pictures` draws
of these expressions, with what the page has computed by then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = ("_build", "reference")
"""Folders of pages that are made of the code."""
_STEP = re.compile(
    r"^```python\n(?P<code>.*?)^```$|^<!-- picture: (?P<picture>\S+) = (?P<shown>.+?) -->$",
    re.MULTILINE | re.DOTALL,
)

Draw = Callable[[str, Any], None]
"""Takes the path of a picture below ``docs``, and the value that it shows."""


@dataclass(frozen=True, slots=True)
class Step:
    """Python to run, or a picture of expressions, where a page has it."""

    line: int
    code: str = ""
    picture: str = ""
    shown: str = ""


def pages() -> list[Path]:
    """All written pages, in the order of their paths."""
    return [
        path for path in sorted(DOCS.rglob("*.md")) if path.relative_to(DOCS).parts[0] not in MADE
    ]


def steps(page: Path) -> Iterator[Step]:
    """What is to be run and drawn of a page, in order."""
    text = page.read_text("utf-8")
    for found in _STEP.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["picture"]:
            yield Step(line, picture=found["picture"], shown=found["shown"])
        else:
            yield Step(line + 1, code=found["code"])


def run_page(page: Path, folder: Path, draw: Draw | None = None) -> dict[str, Any]:
    """Run a page in a folder, as a reader does who types what it says.

    Parameters
    ----------
    page
        Of `pages`.
    folder
        Where its files go.
    draw
        Called for each picture; None: pictures are not made.

    Returns
    -------
    dict
        The names that the page has made. An error's traceback has the page's own lines.
    """
    names: dict[str, Any] = {"__name__": page.stem}
    with chdir(folder):
        for step in steps(page):
            if step.code:
                # As many lines before it as in the page, for tracebacks.
                code = compile("\n" * (step.line - 1) + step.code, str(page), "exec")
                exec(code, names)  # the pages are the repository's own
            elif draw is not None:
                draw(step.picture, eval(step.shown, names))
    return names
