"""How Sphinx builds these pages: ``make docs``.

What the code itself says (functions, models, panels, commands) is written to ``docs/reference``
before every build, by the modules of ``docs/_ext``.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "tools")]

import napari_tincture  # noqa: E402 - the path comes first

project = "napari-tincture"
author = "The napari-tincture contributors"
project_copyright = f"2026, {author}"
release = napari_tincture.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "reference_pages",
]
exclude_patterns = ["_build", "_ext", "_templates"]
templates_path = ["_templates"]

# A name in single backticks is one of the package, or of what is described, or plain code.
default_role = "py:obj"
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
# As the docstrings say types in words; the call with its defaults is what is read here.
autodoc_typehints = "none"
maximum_signature_line_length = 80
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"napari-tincture {release}"
html_logo = "../src/napari_tincture/icon.svg"
html_theme_options = {
    "source_repository": "https://github.com/napari-tincture/napari-tincture/",
    "source_branch": "main",
    "source_directory": "docs/",
}
