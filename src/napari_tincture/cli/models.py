"""``napari-tincture models``: what there is, what it is good for, bringing and giving models."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_tincture.cli.shared import Json, Quiet, settings_from, told
from napari_tincture.progress import as_callback

if TYPE_CHECKING:
    from napari_tincture.io.fetch_model import Fetched

models = typer.Typer(
    help="List, show, import, rename, export and remove models.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(metavar="MODEL", help="Name or file of a model")]


@models.command("list")
@told
def list_(as_json: Json = False) -> None:
    """List the models that are shipped, and your own."""
    from napari_tincture.models import list_models

    cards = list_models()
    if as_json:
        typer.echo(json.dumps([json.loads(card.to_json()) for card in cards]))
        return
    wide = max(len(card.name) for card in cards)
    across = shutil.get_terminal_size().columns
    for card in cards:
        line = f"{card.name:{wide}}  {card.task:10}  {card.description}"
        typer.echo(line if len(line) <= across else f"{line[: across - 1]}…")


@models.command()
@told
def show(name: Name, as_json: Json = False) -> None:
    """Show a model's card."""
    from napari_tincture.models import find_card
    from napari_tincture.models.shipped import find_model

    card = find_card(name)
    if as_json:
        typer.echo(card.to_json())
        return
    rows = {
        "task": card.task, "about": card.description, "architecture": card.architecture,
        "inputs": ", ".join(channel.name for channel in card.inputs),
        "outputs": ", ".join(channel.name for channel in card.outputs),
        "pixel size": f"{card.pixel_size:g} µm" if card.pixel_size else "any",
        "licence": card.licence or "not stated", "data": card.data, "citation": card.citation,
        "source": card.origin.get("url", ""), "SHA-256": card.origin.get("sha256", ""),
        "file": str(find_model(name)),
        **{key: f"{value:.4g}" for key, value in card.figures.items()},
    }  # fmt: skip
    typer.echo(card.name)
    for title, text in rows.items():
        if text:
            typer.echo(f"  {title:14} {text}")


@models.command("import")
@told
def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Checkpoint, BioImage.IO package or model file; its URL; or an id of BioImage.IO",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="What it is called here")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="In µm, of images that it takes")] = None,
    sha256: Annotated[
        str | None, typer.Option(metavar="SHA256", help="Refuse a file with another hash")
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Another argument")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="SHA256", help="A program in a package that may run, by its hash"),
    ] = None,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Import a published checkpoint, a BioImage.IO package or a model, from disk or the net."""
    from napari_tincture.tasks._bring import bring

    options = settings_from(given, pixel_size=pixel_size)
    came = _fetched(source, sha256, quiet=quiet)
    if came.known and name in (None, came.known) and not options:
        typer.echo(f"{came.known}: {came.path} (it is there already)")
        return
    consent = dict.fromkeys(allow or (), True)
    called = name or (came.path.stem if not came.origin else None)
    model = bring(came.path, name=called, consent=consent, origin=came.origin, **options)
    if not came.known:
        came.discard()
    typer.echo(f"{model.card.name}: {model.path}")
    if came.origin:
        typer.echo(f"  SHA-256 {came.origin['sha256']} of {came.origin['url']}")


def _fetched(source: str, sha256: str | None, *, quiet: bool) -> Fetched:
    """A file of this computer as it is, and any other from the net."""
    from napari_tincture.io.checksums import check_sha256, sha256_of_file
    from napari_tincture.io.fetch_model import Fetched, fetch_model
    from napari_tincture.io.model_source import is_source
    from napari_tincture.tasks.download_model import MEGABYTE

    file = Path(source).expanduser()
    if is_source(source) and not file.exists():
        bar = as_callback(not quiet and sys.stderr.isatty(), "MB", MEGABYTE)
        return fetch_model(source, sha256=sha256, progress=bar)
    if sha256 is not None and file.is_file():
        check_sha256(sha256_of_file(file), sha256, source)
    return Fetched(file)


@models.command()
@told
def rename(
    name: Name, new: Annotated[str, typer.Argument(metavar="NEW", help="What it is called then")]
) -> None:
    """Give one of your own models another name."""
    from napari_tincture.models.library import rename_model

    typer.echo(f"{new}: {rename_model(name, new)}")


@models.command()
@told
def export(
    name: Name,
    out: Annotated[str, typer.Option("--out", "-o", metavar="ZIP", help="The package to write")],
    image: Annotated[str, typer.Option(metavar="IMAGE", help="An image that the model suits")],
) -> None:
    """Write a model as a BioImage.IO package, with a test image and its result."""
    from napari_tincture.io.open import open_image
    from napari_tincture.tasks.packages import export_package
    from napari_tincture.tasks.recipe import as_image, opened

    (test,) = opened((as_image(image),), ())
    typer.echo(str(export_package(name, out, test_image=open_image(test))))


@models.command()
@told
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
) -> None:
    """Remove one of your own models from the disk."""
    from napari_tincture.models.library import remove_model

    if not yes:
        typer.confirm(f"Remove {name} for good?", abort=True)
    typer.echo(f"Removed {remove_model(name)}")
