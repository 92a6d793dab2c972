"""Five families at equal width, data and iterations, on the same test images.

``python -m benchmarks.staining_table --data DATA`` trains what is not yet trained (it goes on where
it was stopped), stains every test image in three ways, and prints the table and the course of
validation as Markdown. Nothing is selected: every test image counts.

The three ways, as published work had to choose between the first two:

- *fragments*: squares of the crop's size, each stained alone;
- *reduced*: the whole field resized to the crop's size, stained, and resized back;
- *whole*: the whole field at full resolution, tiled exactly.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_tincture as nt
from benchmarks.staining_ways import ARMS, CROP, stained
from benchmarks.trained import Unfinished, model_file, trained
from napari_tincture.device import tune_allocator
from napari_tincture.durable import write_json
from napari_tincture.models.model import Model
from napari_tincture.training.blood.prepare import FOLDER, Settings, prepare
from napari_tincture.training.judge import likeness
from napari_tincture.training.presets import preset
from napari_tincture.training.translation import TranslationRecipe

FAMILIES = ("cyclegan", "bayesian_cyclegan", "attentiongan", "pix2pix", "ugatit")
FIGURES = ("ssim", "psnr", "mse")


@dataclass(frozen=True)
class Case:
    """A pair of test images, (c, y, x) as stored, and which columns count."""

    name: str
    source: NDArray[Any]
    target: NDArray[Any]
    columns: slice | None = None


@dataclass(frozen=True)
class Task:
    """What is stained: where its training images are, and its test images."""

    name: str
    data: Callable[[bool], dict[str, Any]]
    split: Mapping[str, Any]
    cases: Callable[[], Iterator[Case]]


def blood_task(data: Path, work: Path) -> Task:
    """Simulated label-free blood and its smears; the smears' own size."""
    folder = work / "blood"
    if not (folder / "manifest.json").is_file():
        prepare(data / FOLDER, folder, Settings(diameter=0.0, pairs=True))

    def described(part: str, side: str) -> dict[str, Any]:
        channels = [0, 0, 0] if side == "source" else [0, 1, 2]
        return {"images": str(folder / part / side), "channels": channels}

    def pairs(part: str) -> dict[str, Any]:
        return {"pairs": {"a": described(part, "source"), "b": described(part, "target")}}

    def of(paired: bool) -> dict[str, Any]:
        sides = {"a": described("train", "source"), "b": described("train", "target")}
        return {**(pairs("pairs") if paired else sides), "validation": pairs("validation")}

    def cases() -> Iterator[Case]:
        for path in sorted((folder / "test" / "source").glob("*.png")):
            source = np.asarray(nt.open_image(path))
            target = np.asarray(nt.open_image(folder / "test" / "target" / path.name))
            yield Case(path.stem, np.broadcast_to(source, target.shape), target)

    return Task("blood", of, {}, cases)


def neuron_task(data: Path, _: Path) -> Task:
    """Three focal planes of phase contrast, and DAPI, MAP2 and NFH of the same field."""
    folder = data / "neuron_phase_fluorescence"
    planes = sorted(folder.glob("phase_z*.png"))
    chosen = [planes[len(planes) // 4], planes[len(planes) // 2], planes[3 * len(planes) // 4]]
    stains = [folder / f"{name}_maxproj.png" for name in ("dapi", "map2", "nfh")]
    norm = {"kind": "percentile", "low": 0.5, "high": 99.8, "target": [-1, 1], "clip": [-1, 1]}
    a = {"images": [[str(path) for path in chosen]], "normalisation": norm}
    b = {"images": [[str(path) for path in stains]], "normalisation": norm}
    columns = {"train": [0, 624], "validation": [640, 752], "test": [768, 1024]}

    both = {"pairs": {"a": a, "b": b}}

    def of(paired: bool) -> dict[str, Any]:
        held_back = {**both, "columns": columns["validation"]}
        return {**(both if paired else {"a": a, "b": b}), "validation": held_back}

    def cases() -> Iterator[Case]:
        source, target = (
            np.stack([np.asarray(nt.open_image(path)) for path in paths])
            for paths in (chosen, stains)
        )
        yield Case("field", source, target, slice(*columns["test"]))

    return Task("neuron", of, {"columns": {"train": columns["train"]}}, cases)


TASKS = {"blood": blood_task, "neuron": neuron_task}


def recipe_of(task: Task, family: str, iterations: int) -> TranslationRecipe:
    """Equal width, crops, iterations and batch for every family; its own losses and rates."""
    options: dict[str, Any] = {"light": True} if family == "ugatit" else {}
    recipe = preset(
        family, "tiny", name=f"{task.name} {family}", crop=CROP, steps=iterations, networks=options,
        validate_every=max(iterations // 20, 1), save_every=100, ema=0.999, flips=(True, True),
        rot90=True,
    )  # fmt: skip
    paired = recipe.published.data == "paired"
    return recipe.replace(data=task.data(paired), split=task.split)


def model_of(folder: Path, task: Task, family: str) -> Path:
    """Where the table keeps the model of a family."""
    return model_file(folder, f"{task.name} {family}")


def evaluated(model: Model, task: Task) -> dict[str, dict[str, list[float]]]:
    """Figures of every test image, by way and name."""
    found: dict[str, dict[str, list[float]]] = {arm: {f: [] for f in FIGURES} for arm in ARMS}
    for case in task.cases():
        wanted = in_target_range(case.target, model)
        for arm in ARMS:
            made = np.clip(stained(model, case.source, arm), 0, 1)
            for part in parts_compared(case, made.shape):
                figures = likeness(made[part], wanted[part])
                for name in FIGURES:
                    found[arm][name].append(figures[name])
    return found


def in_target_range(target: NDArray[Any], model: Model) -> NDArray[np.float32]:
    """A reference (c, y, x) normalised as in training, then from 0 to 1."""
    norm = model.card.target_normalisation
    assert norm is not None
    low, high = norm.span
    gain, offset = norm.affine(norm.measure(target))
    wanted = target * gain[:, None, None] + offset[:, None, None]
    return ((np.clip(wanted, low, high) - low) / (high - low)).astype(np.float32)


def parts_compared(case: Case, shape: tuple[int, ...]) -> list[tuple[slice, slice, slice]]:
    """The whole of an image; of a field of which only columns count, squares of these."""
    if case.columns is None:
        return [(slice(None),) * 3]
    return [
        (slice(None), slice(y, y + CROP), case.columns) for y in range(0, shape[1] - CROP + 1, CROP)
    ]


def print_table(results: Mapping[str, Mapping[str, Any]], iterations: int) -> None:
    """Mean ± standard deviation over all test images."""
    for task, families in results.items():
        count = len(next(iter(families.values()))["figures"]["whole"]["ssim"])
        print(f"\n## {task}: {count} test images, {iterations} iterations, width 16\n")
        print("| family | way | SSIM | PSNR, dB | MSE |")
        print("|---|---|---|---|---|")
        for family, found in families.items():
            for arm in ARMS:
                cells = [_cell(found["figures"][arm][name], name) for name in FIGURES]
                print(f"| {family} | {arm} | {' | '.join(cells)} |")
        print("\nSSIM on validation images, by iteration:\n")
        print("| family | " + " | ".join(_steps(families)) + " |")
        print("|---" * (len(_steps(families)) + 1) + "|")
        for family, found in families.items():
            course = [f"{row['ssim']:.3f}" for row in found["history"] if "ssim" in row]
            print(f"| {family} | {' | '.join(course)} |")


def _steps(families: Mapping[str, Any]) -> list[str]:
    return [f"{row['step']:.0f}" for row in next(iter(families.values()))["history"]]


def _cell(values: Sequence[float], name: str) -> str:
    digits = {"ssim": 3, "psnr": 2, "mse": 5}[name]
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/table"))
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=90, help="after which training pauses")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    tune_allocator()
    deadline = time.monotonic() + 60 * options.minutes
    results: dict[str, dict[str, Any]] = {}
    for name in options.tasks.split(","):
        folder = options.work / name
        folder.mkdir(parents=True, exist_ok=True)
        task = TASKS[name](options.data, options.work)
        for family in options.families.split(","):
            recipe = recipe_of(task, family, options.iterations)
            try:
                path = trained(recipe, folder, deadline, options.device)
            except Unfinished as error:
                sys.exit(str(error))
            results.setdefault(name, {})[family] = _results(path, task)
    print_table(results, options.iterations)


def _results(path: Path, task: Task) -> dict[str, Any]:
    """Figures and course of a finished model, kept beside it."""
    kept = path.with_suffix(".json")
    if not kept.is_file():
        model = nt.load_model(path)
        history = _history(path.with_suffix(".log.csv"))
        write_json(kept, {"figures": evaluated(model, task), "history": history})
    found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
    return found


def _history(path: Path) -> list[dict[str, float]]:
    import csv

    with path.open(newline="") as handle:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(handle)]
    return [row for row in rows if "ssim" in row]


if __name__ == "__main__":
    main()
