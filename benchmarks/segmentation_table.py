"""What segmentation reaches on images that it never saw, and with how few of them it was trained.

``python -m benchmarks.segmentation_table --data DATA`` trains what is not yet trained (it goes on
where it was stopped), and prints one table per task as Markdown. Every test image counts.

- *membranes*: slices 18–23 of the ISBI 2012 training stack, by a network that learned from slices
  0–15 (the threshold is fixed on 16 and 17), and by the starter that never saw the stack;
- *fields*: sections 13–15 of neural tissue, by networks that learned from 1, 3, 10 and all others;
- *cells*: cells in phase contrast, each of six fields by a network that learned from the others.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_tincture as nt
from benchmarks.trained import Unfinished, trained
from napari_tincture.device import tune_allocator
from napari_tincture.metrics.labels.averages import average
from napari_tincture.metrics.labels.membranes import MembraneScore, membrane_scores
from napari_tincture.metrics.labels.objects import instance_figures
from napari_tincture.metrics.labels.overlap import measure
from napari_tincture.models.model import Model
from napari_tincture.training.starters import read_recipe
from napari_tincture.training.translation import TranslationRecipe

ISBI, TISSUE, CELLS = "isbi2012_membranes", "neural_tissue_em", "cells_phase_contrast"
STARTER = "em-membranes"
FIXED, TESTED = slice(16, 18), 18
"""Slices that fix the threshold, and the first that is tested."""
FIELDS = (1, 3, 10)
"""How many sections some networks learn from; the last one learns from all."""
ERRORS = ("pixel_error", "rand_error", "thinned_rand_error", "warping_error", "split_merge_error")
PUBLISHED = {"pixel_error": 0.0611, "rand_error": 0.0382, "warping_error": 0.000353}
"""U-Net (Ronneberger et al. 2015), table 1, on the challenge's hidden test set."""

Train = Callable[[TranslationRecipe], Model]


def recipe(name: str) -> TranslationRecipe:
    """A committed recipe of a translation."""
    found = read_recipe(name)
    assert isinstance(found, TranslationRecipe)
    return found


def membranes(data: Path, train: Train) -> None:
    """The benchmark of the U-Net's paper, as far as its labels are public."""
    volume, labels = (
        np.asarray(nt.open_image(data / ISBI / f"{name}.tif", axes="zyx"))
        for name in ("volume", "labels")
    )
    models = {"trained on slices 0–15": train(recipe("isbi2012-membranes"))}
    if STARTER in {card.name for card in nt.list_models()}:
        models[f"starter {STARTER}"] = nt.load_model(STARTER)
    print("## Membranes, ISBI 2012, slices 18–23\n")
    print("| model | threshold | " + " | ".join(name.replace("_", " ") for name in ERRORS) + " |")
    print("|---" * (len(ERRORS) + 2) + "|")
    for name, model in models.items():
        for augment in ("none", "turns"):
            chance = membrane(model, volume, augment)
            scores = membrane_scores(chance[TESTED:], labels[TESTED:])
            fixed = membrane_scores(chance[FIXED], labels[FIXED]).best("rand_error").threshold
            best = [scores.best(error) for error in ERRORS[:-1]]
            # Where all is membrane, nothing is split or merged.
            best.append(scores.at(ERRORS[-1], scores.best("warping_error").threshold))
            print(f"| {name}, {augment} | best of each | {_errors(best)} |")
            there = [scores.at(error, fixed) for error in ERRORS]
            print(f"| {name}, {augment} | {fixed:g}, fixed before | {_errors(there)} |", flush=True)
    published = [f"{PUBLISHED[n]:.3g}" if n in PUBLISHED else "" for n in ERRORS]
    print(f"| U-Net 2015, hidden test set |  | {' | '.join(published)} |\n")


def _errors(scores: Sequence[MembraneScore]) -> str:
    return " | ".join(f"{s.error.mean:.3g} ± {s.error.deviation:.2g}" for s in scores)


def membrane(model: Model, volume: NDArray[Any], augment: str = "none") -> NDArray[np.float32]:
    """Probability of membrane (slices, y, x)."""
    which = [channel.name for channel in model.card.outputs].index("membrane")
    planes = []
    for plane in volume:
        maps = nt.segment(plane, model, output="probabilities", augment=augment)  # type: ignore[arg-type]
        planes.append(np.asarray(maps).squeeze()[which])
    return np.stack(planes)


def fields(data: Path, train: Train) -> None:
    """How much further labelled sections help."""
    whole = recipe(STARTER)
    held = sorted({*whole.split["validation"], *whole.split["test"]})
    names = sorted(path.stem for path in (data / TISSUE / "raw").glob("*.png"))
    others = [name for name in names if name not in held]
    print("## Neural tissue, sections 13–15, by sections learned from\n")
    print("| sections | mean IoU | IoU membrane | IoU mitochondrion | Dice membrane | a constant |")
    print("|---" * 6 + "|")
    for count in (*FIELDS, len(others)):
        # Spread through the stack, as somebody would choose them.
        places = np.linspace(0, len(others) - 1, count).round().astype(int)
        chosen = [*(others[place] for place in places), *held]
        one = small(whole, f"fields-{count}")
        figures = train(with_images(one, TISSUE, ("raw", "classes"), chosen)).card.figures
        iou = figures["test iou membrane"]
        cells = [
            figures["test mean_iou"], iou, figures["test iou mitochondrion"], 2 * iou / (1 + iou),
            figures["test constant"],
        ]  # fmt: skip
        print(f"| {count} | {' | '.join(f'{cell:.3f}' for cell in cells)} |", flush=True)
    print()


def cells(data: Path, train: Train) -> None:
    """Leave one field out."""
    whole = recipe("cells-phase-contrast")
    names = sorted(path.stem for path in (data / CELLS / "images").glob("*.tif"))
    print("## Cells in phase contrast, each field by a network that learned from the others\n")
    print("| field | IoU of foreground | SEG | AP at IoU 0.5 | F1 at IoU 0.5 | found | expected |")
    print("|---" * 7 + "|")
    rows = []
    for name in names:
        out = whole.replace(name=f"without-{name}", split={"validation": 0.0, "test": [name]})
        figures = of_field(train(out), data / CELLS, name)
        rows.append(list(figures.values()))
        print(f"| {name} | {_cells(figures.values())} |", flush=True)
    means = [average(column) for column in zip(*rows, strict=True)]
    print(
        "| mean ± deviation | "
        + " | ".join(f"{m.mean:.3f} ± {m.deviation:.3f}" for m in means)
        + " |\n"
    )


def of_field(model: Model, folder: Path, name: str) -> dict[str, float]:
    """How well cells of one field are found."""
    truth = np.asarray(nt.open_image(folder / "labels" / f"{name}.png")).squeeze()
    found = np.asarray(nt.segment(folder / "images" / f"{name}.tif", model)).squeeze()
    figures = instance_figures(measure(found, truth)[0])
    inside = ((found > 0) & (truth > 0)).sum() / ((found > 0) | (truth > 0)).sum()
    wanted = {n: figures[n] or 0.0 for n in ("seg", "ap_50", "f1_50", "found", "expected")}
    return {"foreground": float(inside), **wanted}


def small(
    one: TranslationRecipe, name: str, steps: int = 1000, crop: int = 128
) -> TranslationRecipe:
    """A shorter training of the same network, to compare what it learned from."""
    schedule = dataclasses.replace(one.schedule, steps=steps, validate_every=steps // 4)
    sampling = dataclasses.replace(one.sampling, crop=crop)
    return one.replace(name=name, schedule=schedule, sampling=sampling)


def with_images(
    one: TranslationRecipe, folder: str, sides: Sequence[str], names: Sequence[str]
) -> TranslationRecipe:
    """The recipe with some of its images."""
    pairs: Mapping[str, Any] = one.data["pairs"]
    listed = {
        side: {**pairs[side], "images": [f"{folder}/{place}/{name}.png" for name in names]}
        for side, place in zip("ab", sides, strict=True)
    }
    return one.replace(data={**one.data, "pairs": {**pairs, **listed}})


def _cells(values: Any) -> str:
    return " | ".join(f"{value:.3f}" if value < 2 else f"{value:.0f}" for value in values)


TASKS = {"membranes": membranes, "fields": fields, "cells": cells}


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/segmentation"))
    parser.add_argument("--minutes", type=float, default=90, help="after which training pauses")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    tune_allocator()
    deadline = time.monotonic() + 60 * options.minutes

    def train(one: TranslationRecipe) -> Model:
        return nt.load_model(trained(one, options.work, deadline, options.device, options.data))

    try:
        for name in options.tasks.split(","):
            TASKS[name](options.data, train)
    except Unfinished as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
