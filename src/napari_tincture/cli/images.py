"""Commands that make images: stain, segment, synthesize, enlarge, compare."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from napari_tincture.cli.shared import (
    Device,
    Json,
    Out,
    Overwrite,
    Quiet,
    Settings,
    do,
    settings_from,
    told,
)
from napari_tincture.tasks.recipe import Recipe, as_image

ImagePath = Annotated[
    str, typer.Argument(metavar="IMAGE", help="An image, or a folder or plate of such")
]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="Name or file of a model")]
Further = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="IMAGE", help='Another image, {"source": 1} in settings'),
]  # fmt: skip
Direction = Annotated[str | None, typer.Option(help="forward, or backward of two-way models")]
Output = Annotated[str | None, typer.Option(help="labels (objects), classes or probabilities")]
Report = Annotated[
    str, typer.Option("--out", "-o", metavar="FILE", help="A .html, .pdf, .csv, .md or .tex file")
]
Compared = Annotated[
    list[str], typer.Argument(metavar="IMAGE... REFERENCE", help="The last one is the reference")
]
SaveRecipe = Annotated[
    str | None,
    typer.Option("--recipe", metavar="FILE", help="Also write the recipe, for `run` or Python"),
]  # fmt: skip


def add_image_commands(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (stain, segment, synthesize, enlarge, compare):
        app.command()(told(command))


def stain(
    image: ImagePath, model: ModelName, out: Out,
    direction: Direction = None,
    further: Further = None, given: Settings = None, device: Device = "auto",
    overwrite: Overwrite = False, recipe: SaveRecipe = None, as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Stain an image virtually, or each image of a folder."""
    settings = settings_from(given, direction=direction, device=device)
    _do("stain", image, model, out, settings, further, overwrite, recipe, as_json, quiet)


def segment(
    image: ImagePath, model: ModelName, out: Out,
    output: Output = None,
    further: Further = None, given: Settings = None, device: Device = "auto",
    overwrite: Overwrite = False, recipe: SaveRecipe = None, as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Find objects or classes in an image, or in each image of a folder."""
    settings = settings_from(given, output=output, device=device)
    _do("segment", image, model, out, settings, further, overwrite, recipe, as_json, quiet)


def synthesize(
    labels: Annotated[str, typer.Argument(metavar="MAP", help="A label map, or a folder of such")],
    model: ModelName, out: Out,
    sampler: Annotated[str | None, typer.Option(help="ddim, dpm_solver, …")] = None,
    steps: Annotated[int | None, typer.Option(help="More steps: finer, slower")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same image")] = None,
    guidance: Annotated[float | None, typer.Option(help="How strictly the map is followed")] = None,
    further: Further = None, given: Settings = None, device: Device = "auto",
    overwrite: Overwrite = False, recipe: SaveRecipe = None, as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Make an image of a label map."""
    settings = settings_from(
        given, sampler=sampler, steps=steps, seed=seed, guidance=guidance, device=device
    )
    _do("synthesize", labels, model, out, settings, further, overwrite, recipe, as_json, quiet)


def enlarge(
    image: ImagePath, model: ModelName, out: Out,
    factor: Annotated[int | None, typer.Option(help="How many times larger")] = None,
    given: Settings = None, device: Device = "auto", overwrite: Overwrite = False,
    recipe: SaveRecipe = None, as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Make an image larger with a model of super-resolution."""
    settings = settings_from(given, factor=factor, device=device)
    _do("enlarge", image, model, out, settings, None, overwrite, recipe, as_json, quiet)


def compare(
    images: Compared, out: Report = "",
    metrics: Annotated[str | None, typer.Option(help="Such as ssim,psnr; see `metrics`")] = None,
    given: Settings = None, recipe: SaveRecipe = None, as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Compare images with a reference."""
    named = metrics.split(",") if metrics else None
    found = Recipe(
        "compare", tuple(map(as_image, images)), settings=settings_from(given, metrics=named),
        save_to=out,
    )  # fmt: skip
    if recipe:
        found.save(recipe)
    do(found, as_json=as_json, quiet=quiet)


def _do(
    task: str, image: str, model: str, out: str, settings: dict[str, Any],
    further: list[str] | None, overwrite: bool, recipe: str | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    from napari_tincture.io.images import holds_images

    folder = image if ":" not in image[:8] and holds_images(image) else ""
    images = () if folder else tuple(map(as_image, (image, *(further or ()))))
    found = Recipe(task, images, model, settings, out, overwrite, folder)
    if recipe:
        found.save(recipe)
    do(found, as_json=as_json, quiet=quiet)
