"""Recipes as lines of Python and as command lines."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.tasks._again import IMPORTS, opened_by, spelled
from napari_tincture.tasks.recipe import DATASET, Recipe, word_of

COMMAND = "napari-tincture"


def python_of(recipe: Recipe, memory: Sequence[str] = ()) -> str:
    """Lines that do what a recipe says.

    `memory`: for each image that has no file, what it is called in napari's console.
    """
    if recipe.folder or recipe.task == "train":
        body = [_call(recipe, [])]
    else:
        names = [_name(recipe, number) for number in range(len(recipe.images))]
        body = [f"{name} = {_opened(recipe, number, memory)}" for number, name in enumerate(names)]
        body += [_call(recipe, names), *_written(recipe)]
        if not recipe.save_to and recipe.task == "compare":
            body.append("print(found)")
        elif memory and not all(recipe.images) and not recipe.save_to:
            body.append("result.add_to(viewer)")
    used = [line for name, line in IMPORTS.items() if any(f"{name}." in text for text in body)]
    return "\n".join([*used, "", *body])


def _opened(recipe: Recipe, number: int, memory: Sequence[str]) -> str:
    image = recipe.images[number]
    if image is not None:
        return opened_by(image)
    return memory[number] if number < len(memory) else "...  # it was in memory"


def command_of(recipe: Recipe) -> str:
    """A command line that does what a recipe says; of what has no words of its own, its JSON.

    Raises
    ------
    InputError
        If an image is in memory.
    """
    if None in recipe.images:
        raise InputError(
            f"Image {recipe.images.index(None) + 1} is in memory, where no other program can read "
            "it. Save it to a file, open that, and copy the command again."
        )
    if not (recipe.save_to or recipe.task == "compare"):
        recipe = recipe.replace(save_to=f"{recipe.task}.ome.zarr")
    words = [word_of(image) for image in recipe.images]
    wordless = recipe.task in ("train", DATASET) or "reference" in recipe.settings
    if wordless or not all(words) or not (words or recipe.folder):
        return shlex.join([COMMAND, "run", json.dumps(recipe.to_dict(), ensure_ascii=False)])
    line = [COMMAND, recipe.task, *([recipe.folder] if recipe.folder else words[:1])]
    further = words[1:]
    if recipe.task == "compare":
        line = [COMMAND, "compare", *words]
        further = []
    line += [recipe.model] if recipe.model else []
    for word in further:
        line += ["--image", word]
    for name, value in recipe.settings.items():
        line += ["--set", f"{name}={value if _is_word(value) else json.dumps(value)}"]
    line += ["--out", recipe.save_to] if recipe.save_to else []
    line += ["--overwrite"] if recipe.overwrite else []
    return shlex.join(line)


def _is_word(value: Any) -> bool:
    """Whether a text is itself and no JSON."""
    if not isinstance(value, str):
        return False
    try:
        json.loads(value)
    except ValueError:
        return True
    return False


def _name(recipe: Recipe, number: int) -> str:
    if recipe.task == "compare" and number == recipe.reference:
        return "reference"
    return f"image_{number + 1}" if len(recipe.images) > 1 else "image"


def _call(recipe: Recipe, names: list[str]) -> str:
    kept = {name: value for name, value in recipe.settings.items() if name != "reference"}
    settings = [f"{key}={spelled(value, names)}" for key, value in kept.items()]
    if recipe.task == "train":
        own = [text for text in settings if not text.startswith("recipe=")]
        out = [f"out={recipe.save_to!r}"] if recipe.save_to else []
        given = [spelled(recipe.settings["recipe"], names), *own, *out, "progress=True"]
        return f"model = nt.train({', '.join(given)})"
    if recipe.task == DATASET:
        given = [repr(each) for each in (recipe.folder, recipe.model, recipe.save_to)]
        return f"report = nt.make_dataset({', '.join([*given, *settings, 'progress=True'])})"
    if recipe.folder:
        existing = ["existing='overwrite'"] if recipe.overwrite else []
        given = [repr(each) for each in (recipe.folder, recipe.task, recipe.model, recipe.save_to)]
        return f"report = nt.batch({', '.join([*given, *existing, *settings, 'progress=True'])})"
    if recipe.task == "compare":
        place = recipe.reference
        images = f"[{', '.join(names[:place])}]"
        return f"found = nt.compare({', '.join([images, names[place], *settings])})"
    return f"result = nt.{recipe.task}({', '.join([names[0], repr(recipe.model), *settings])})"


def _written(recipe: Recipe) -> list[str]:
    from napari_tincture.tasks.run import REPORTS, TABLES

    if not recipe.save_to:
        return []
    if recipe.task != "compare":
        more = ", overwrite=True" if recipe.overwrite else ""
        return [f"result.save({recipe.save_to!r}, progress=True{more})"]
    suffix = "." + recipe.save_to.rpartition(".")[2]
    way = "report" if suffix in REPORTS else TABLES.get(suffix, "report")
    return [f"found.{way}({recipe.save_to!r})"]
