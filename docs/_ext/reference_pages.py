"""The pages that are made of the code before every build, and the check that none is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api_pages import missing_names, write_api
from command_line_page import write_command_line
from model_pages import write_models
from panel_pages import write_panels
from sphinx.errors import ExtensionError

INDEX = """# Reference

```{toctree}
:maxdepth: 2

api/index
command_line
panels
models/index
```
"""


def setup(app: Any) -> dict[str, Any]:
    """Join the build, as Sphinx asks of an extension."""
    # Before Sphinx looks which pages there are.
    app.connect("config-inited", _write)
    app.connect("env-check-consistency", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def put(path: Path, text: str) -> None:
    """Write a page unless it is there, so that Sphinx reads again only what is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def _write(app: Any, _: Any) -> None:
    source = Path(app.srcdir)
    pages = {
        "index.md": INDEX,
        **write_api(),
        **write_command_line(),
        **write_panels(source),
        **write_models(source),
    }
    for name, text in pages.items():
        put(source / "reference" / name, text)


def _check(_: Any, env: Any) -> None:
    """Fail if a public name is described nowhere."""
    described = {name for name, *_ in env.domains.python_domain.get_objects()}
    if left := missing_names(described):
        raise ExtensionError(f"The reference lacks {', '.join(left)}.")
