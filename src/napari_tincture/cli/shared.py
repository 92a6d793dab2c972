"""What all commands share."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from napari_tincture.errors import Cancelled, InputError, TinctureError
from napari_tincture.tasks.recipe import Recipe

INTERRUPTED = 130
Command = TypeVar("Command", bound=Callable[..., None])

Out = Annotated[
    str,
    typer.Option("--out", "-o", help="File of the result, or folder of several", metavar="PATH"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE",
        help="Any other argument of the function in Python; values are JSON or plain text",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Tell results as one JSON object")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps")]


def told(command: Command) -> Command:
    """End a command that fails with one line on standard error, and its exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (Cancelled, KeyboardInterrupt):
            typer.echo("Interrupted; the same command goes on.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except TinctureError as error:
            typer.echo(f"{type(error).__name__}: {error}", err=True)
            raise typer.Exit(1) from None

    return run  # type: ignore[return-value]


def settings_from(given: Sequence[str] | None, **named: Any) -> dict[str, Any]:
    """Settings of ``NAME=VALUE`` words, and of options that were given.

    Raises
    ------
    InputError
        If a word has no ``=``.
    """
    found = {name: value for name, value in named.items() if value not in (None, "auto")}
    for word in given or ():
        name, mark, text = word.partition("=")
        if not (name and mark):
            raise InputError(f"--set {word}: expected NAME=VALUE, such as --set tile=512.")
        try:
            found[name.strip().replace("-", "_")] = json.loads(text)
        except ValueError:
            found[name.strip().replace("-", "_")] = text
    return found


def do(recipe: Recipe, *, as_json: bool, quiet: bool) -> None:
    """Do what a recipe says, and tell what came of it."""
    from napari_tincture.tasks.run import run

    result = run(recipe, progress=not (quiet or as_json) and sys.stderr.isatty())
    tell(recipe, result, as_json=as_json)
    if getattr(result, "failed", ()):
        raise typer.Exit(1)


def tell(recipe: Recipe, result: Any, *, as_json: bool) -> None:
    """Write what came of a run to standard output."""
    if as_json:
        typer.echo(json.dumps(facts_of(recipe, result), default=str))
    elif hasattr(result, "to_markdown"):
        typer.echo(result.to_markdown())
    elif hasattr(result, "failed"):
        typer.echo(str(result))
    elif hasattr(result, "card"):
        typer.echo(f"{result.card.name}: {result.path}")
        for name, value in result.card.figures.items():
            typer.echo(f"  {name}: {value:.4g}")
    else:
        typer.echo(recipe.save_to)


def facts_of(recipe: Recipe, result: Any) -> dict[str, Any]:
    """What came of a run, JSON-able."""
    found: dict[str, Any] = {"recipe": recipe.to_dict()}
    if hasattr(result, "table"):
        return {**found, "table": list(result.table)}
    if hasattr(result, "card"):
        return {**found, "model": str(result.path), "figures": dict(result.card.figures)}
    if hasattr(result, "failed"):  # of a folder
        return {
            **found,
            "done": {each.image: str(each.path) for each in result.done},
            "skipped": {each.image: str(each.path) for each in result.skipped},
            "failed": {each.image: each.reason for each in result.failed},
        }
    results = result if isinstance(result, dict) else {"result": result}
    return {
        **found,
        "results": {
            name: {"path": each.source.path if each.source else None, "shape": list(each.shape),
                   "axes": each.axes, "dtype": each.dtype.name}
            for name, each in results.items()
        },
    }  # fmt: skip
