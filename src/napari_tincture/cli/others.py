"""Commands beside those that make images: demo, train, run, explain, metrics, doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_tincture.cli.shared import Device, Json, Quiet, Settings, do, settings_from, told
from napari_tincture.errors import InputError
from napari_tincture.tasks.recipe import Recipe


def add_other_commands(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (train, run, explain, metrics, doctor, demo):
        app.command()(told(command))


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="JSON of a training, or a model")],
    data: Annotated[str, typer.Option(help="Folder that the recipe's paths are relative to")] = ".",
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="The model")] = "",
    given: Settings = None, device: Device = "auto", as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Train a model; stopped, the same command goes on."""
    own = _training(recipe) if recipe.endswith(".json") else recipe
    settings = settings_from(given, data=data, device=device)
    do(
        Recipe("train", settings={"recipe": own, **settings}, save_to=out),
        as_json=as_json,
        quiet=quiet,
    )


def _training(path: str) -> Any:
    """The recipe of a training in a file, so that a recipe of the run holds all of it."""
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The recipe {path} cannot be read: {error}.") from error


def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A file, or the JSON itself")],
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE]...", help="In the place of the recipe's own"),
    ] = None,
    out: Annotated[str, typer.Option("--out", "-o", metavar="PATH", help="Another result")] = "",
    as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Do what a recipe says: one that a panel, Python or `--recipe` wrote."""
    from napari_tincture.tasks.recipe import as_image

    found = Recipe.load(recipe)
    given = tuple(map(as_image, images or ()))
    found = found.replace(
        images=(*given, *found.images[len(given) :]), save_to=out or found.save_to
    )
    if not found.save_to and found.task not in ("compare", "train"):
        raise typer.BadParameter("this recipe names no file for its result: give --out")
    do(found, as_json=as_json, quiet=quiet)


def explain(
    image: Annotated[str, typer.Argument(metavar="FILE", help="An image that was written here")],
    python: Annotated[bool, typer.Option(help="The lines of Python that make it again")] = False,
    as_json: Json = False,
) -> None:
    """Tell how an image was made."""
    from napari_tincture.tasks.explain import explain

    found = explain(image)
    if as_json:
        typer.echo(json.dumps({"origin": found.origin, "steps": found.steps}, default=str))
    else:
        typer.echo(found.python if python else str(found))


def metrics(
    of: Annotated[
        str, typer.Option(help="image, labels, or alone (without a reference)")
    ] = "image",
    as_json: Json = False,
) -> None:
    """List what `compare` can measure."""
    from napari_tincture.tasks.compare import list_metrics

    if of not in ("image", "labels", "alone"):
        raise typer.BadParameter(f"--of {of}: expected image, labels or alone")
    found = list_metrics(of)  # type: ignore[arg-type]
    typer.echo(json.dumps(found) if as_json else "\n".join(found))


def doctor(as_json: Json = False) -> None:
    """Look at versions, Qt, devices, memory, speed, exactness and disks, and say what helps."""
    from napari_tincture.tasks.doctor import doctor

    found = doctor()
    typer.echo(json.dumps(found.to_json()) if as_json else str(found))
    if not found.well:
        raise typer.Exit(1)


def demo(
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FOLDER", help="For the results")
    ] = "demo",
    size: Annotated[
        int | None, typer.Option(help="Side of a mosaic of the field, in pixels")
    ] = None,
    device: Device = "auto",
) -> None:
    """Stain, segment and compare real neurons, and show them in napari."""
    from napari_tincture.demo import main

    main(["--out", out, "--device", device, *(["--size", str(size)] if size else [])])
