"""The reference of the command line, made of what the commands say of themselves."""

from __future__ import annotations

import subprocess
import sys

HOW = """
Exit codes: 0 done; 1 it could not be done, and the last line says why and what helps; 2 the command
line was wrong; 130 interrupted, and the same command goes on. `--json` gives one JSON object on
standard output, for programs. Neither napari nor Qt is loaded, but by `demo`.
{doc}`../how_to/recipes` has examples.
"""


def write_command_line() -> dict[str, str]:
    """One page with all commands."""
    command = [sys.executable, "-m", "typer", "napari_tincture.cli.app", "utils", "docs"]
    done = subprocess.run(
        [*command, "--name", "napari-tincture"], capture_output=True, text=True, check=True
    )
    title, _, rest = done.stdout.partition("\n")
    del title
    return {"command_line.md": f"# Command line\n{HOW}{rest}"}
