"""``napari-tincture models``: what there is, what it is good for, bringing and giving models."""

from __future__ import annotations

import json
import shutil
from typing import Annotated

import typer

from napari_tincture.cli.shared import Json, told

models = typer.Typer(help="List, show, import, export and remove models.", no_args_is_help=True)
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
    path: Annotated[str, typer.Argument(metavar="FILE", help="Checkpoint or BioImage.IO package")],
    name: Annotated[str | None, typer.Option(help="What it is called here")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="In µm, of images that it takes")] = None,
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Another argument")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="SHA256", help="A program in a package that may run, by its hash"),
    ] = None,
) -> None:  # fmt: skip
    """Import a published checkpoint or a BioImage.IO package."""
    from pathlib import Path

    from napari_tincture.cli.shared import settings_from
    from napari_tincture.models.shipped import unused_path
    from napari_tincture.tasks.import_checkpoint import import_checkpoint
    from napari_tincture.tasks.packages import import_package

    file = Path(path).expanduser()
    target = unused_path(name or file.stem)
    target.parent.mkdir(parents=True, exist_ok=True)
    options = settings_from(given, pixel_size=pixel_size, name=target.stem)
    if file.suffix.lower() in (".zip", ".yaml", ".yml") or file.is_dir():
        consent = dict.fromkeys(allow or (), True)
        model = import_package(file, consent=consent, save_to=target, **options)
    else:
        model = import_checkpoint(file, save_to=target, **options)
    typer.echo(f"{model.card.name}: {target}")


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
