"""All commands, and what they share: a bar, errors in one line, exit codes, JSON.

Exit codes: 0 done, 1 it could not be done (the last line says why and what helps), 2 the command
line was wrong, 130 interrupted; the same command goes on then.
"""

from __future__ import annotations

from typing import Annotated

import typer

import napari_tincture
from napari_tincture.cli.images import add_image_commands
from napari_tincture.cli.models import models
from napari_tincture.cli.others import add_other_commands

app = typer.Typer(
    name="napari-tincture", no_args_is_help=True, pretty_exceptions_enable=False,
    help="Stain, segment, synthesize and compare microscope images of any size.",
    epilog="Images are paths, URLs, or sample:NAME. Models are names of `napari-tincture models "
    "list`, or files.",
)  # fmt: skip
add_image_commands(app)
add_other_commands(app)
app.add_typer(models, name="models")


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(napari_tincture.__version__)
        raise typer.Exit


@app.callback()
def begin(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print it and exit."),
    ] = False,
) -> None:
    """Stain, segment, synthesize and compare microscope images of any size."""
