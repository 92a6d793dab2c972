"""Rebuild the shipped starter models: ``python -m napari_tincture.training.starters``."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.resources import files
from pathlib import Path

from napari_tincture.models.model import Model
from napari_tincture.training.data import load_examples
from napari_tincture.training.evaluate import evaluate
from napari_tincture.training.paired import Recipe, train_paired

STARTERS = ("phase-to-dapi", "nuclei")


def read_recipe(name: str) -> Recipe:
    """The committed recipe of a starter model, or the recipe at a path ending in .json."""
    if name.endswith(".json"):
        return Recipe.from_json(Path(name).read_text(encoding="utf-8"))
    text = (files("napari_tincture.training") / "recipes" / f"{name}.json").read_text("utf-8")
    return Recipe.from_json(text)


def train_starter(name: str, data: Path, work: Path, device: str = "cpu") -> Model:
    """Train one starter, or resume it; checkpoints and its validation figures go to `work`."""
    recipe = read_recipe(name)
    stem = recipe.card.name
    work.mkdir(parents=True, exist_ok=True)

    def show(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"{stem}: step {done} of {total}", file=sys.stderr, flush=True)

    model, history = train_paired(
        recipe, data, work / f"{stem}.checkpoint", device=device, progress=show
    )
    (work / f"{stem}.history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")
    return model


def with_figures(model: Model, recipe: Recipe, data: Path, device: str = "cpu") -> Model:
    """Measure a model on the test split, and write the figures and the recipe to its card."""
    figures = evaluate(model, load_examples(recipe.data, data, "test"), device=device)
    figures.pop("score")
    steps = json.loads(recipe.to_json())
    del steps["card"]
    return model.with_card(model.card.replace(figures=figures, recipe=steps))


def main() -> None:
    """Train the starters that are named, and write their weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--work", type=Path, default=Path("starters"), help="checkpoints")
    parser.add_argument("--out", type=Path, help="folder for the weights (default: the package)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("names", nargs="*", default=STARTERS)
    options = parser.parse_args()
    out = options.out or Path(str(files("napari_tincture.samples") / "weights"))
    out.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        recipe = read_recipe(name)
        model = train_starter(name, options.data, options.work, options.device)
        model = with_figures(model, recipe, options.data, options.device)
        path = model.save(out / f"{model.card.name}.safetensors", half=True)
        print(f"{path}: {dict(model.card.figures)}")


if __name__ == "__main__":
    main()
