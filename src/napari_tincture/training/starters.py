"""Rebuild the shipped starter models: ``python -m napari_tincture.training.starters``."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.resources import files
from pathlib import Path

from napari_tincture.device import tune_allocator
from napari_tincture.errors import InputError
from napari_tincture.models.shipped import shipped_folder
from napari_tincture.training import nuclei_tissue
from napari_tincture.training.blood.figures import debris_figures
from napari_tincture.training.blood.prepare import FOLDER, Settings, prepare
from napari_tincture.training.run import AnyRecipe, as_recipe, run_recipe
from napari_tincture.training.translate import Run

BLOOD, TISSUE = "unstained-to-wright-giemsa", "nuclei-tissue"
STARTERS = (
    "phase-to-dapi", "nuclei", "cells-phase-contrast", "hologram-to-brightfield", BLOOD,
    "em-membranes", "em-tissue", TISSUE,
)  # fmt: skip
"""Those that the package ships; further recipes are committed beside theirs."""


def recipe_names() -> tuple[str, ...]:
    """Names of all committed recipes, sorted."""
    folder = files("napari_tincture.training") / "recipes"
    names = (item.name for item in folder.iterdir())
    return tuple(sorted(n.removesuffix(".json") for n in names if n.endswith(".json")))


def read_recipe(name: str) -> AnyRecipe:
    """The committed recipe of a starter model, or the recipe at a path ending in .json.

    Raises
    ------
    InputError
        If it is no recipe.
    """
    if name.endswith(".json"):
        text = Path(name).read_text(encoding="utf-8")
    else:
        folder = files("napari_tincture.training") / "recipes"
        text = (folder / f"{name}.json").read_text("utf-8")
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputError(f"The recipe {name} is not valid JSON: {error}.") from error
    return as_recipe(values)


def data_of(name: str, data: Path, work: Path) -> Path:
    """Where a starter's recipe finds its images; some are prepared first.

    Blood without a stain is simulated; stained tissue is sorted by its stain.
    """
    if name == BLOOD:
        folder = work / "blood"
        if not (folder / "manifest.json").is_file():
            print(f"{name}: simulating label-free blood in {folder}", file=sys.stderr, flush=True)
            prepare(data / FOLDER, folder, Settings(pairs=True))
        return work
    if name == TISSUE:
        nuclei_tissue.prepare(data / nuclei_tissue.FOLDER, work / "nuclei_tissue")
        return work
    return data


def train_starter(name: str, data: Path, work: Path, out: Path, device: str = "cpu") -> Path:
    """Train one starter, or resume it; checkpoint and validation figures go to `work`."""
    recipe = read_recipe(name)
    stem = recipe.name
    for folder in (work, out):
        folder.mkdir(parents=True, exist_ok=True)

    def show(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"{stem}: step {done} of {total}", file=sys.stderr, flush=True)

    path = out / f"{stem}.safetensors"
    run = Run(work / f"{stem}.checkpoint", device, show)
    model, history = run_recipe(recipe, data_of(name, data, work), path, run, half=True)
    if name == BLOOD:
        figures = {**model.card.figures, **debris_figures(model, work / "blood", device)}
        model = model.with_card(model.card.replace(figures=figures))
        model.save(path, half=True)
    (work / f"{stem}.history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")
    print(f"{path}: {dict(model.card.figures)}")
    return path


def main() -> None:
    """Train the starters that are named, and write their weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/starters"), help="checkpoints")
    parser.add_argument("--out", type=Path, default=shipped_folder(), help="folder for weights")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("names", nargs="*", default=STARTERS)
    options = parser.parse_args()
    tune_allocator()
    for name in options.names:
        train_starter(name, options.data, options.work, options.out, options.device)


if __name__ == "__main__":
    main()
