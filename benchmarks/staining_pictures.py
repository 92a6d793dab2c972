"""What the families of the staining table make of the first test image of each task.

``python -m benchmarks.staining_pictures --data DATA --out docs`` takes the models that
`benchmarks.staining_table` trained, stains the field whole, and writes one figure per task: input,
each family, reference, U-GAT-IT's heat map, the standard deviation of Bayesian CycleGAN's samples,
and CycleGAN's cycle error.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_tincture as nt
from benchmarks.staining_table import (
    FAMILIES,
    TASKS,
    Case,
    in_target_range,
    model_of,
    parts_compared,
)
from napari_tincture.device import tune_allocator
from napari_tincture.models.model import Model
from napari_tincture.training.objective import find_objective

MAPS = {"heatmap": "ugatit", "std": "bayesian_cyclegan", "cycle_error": "cyclegan"}
"""Maps that are shown, and the family whose they are."""
TITLES = {"heatmap": "heat map", "std": "standard deviation", "cycle_error": "cycle error"}
SAMPLES = 8
SIDE = 2.6
"""Of a picture in inches."""
Picture = NDArray[np.float32]


def pictures(case: Case, models: Mapping[str, Model]) -> dict[str, Picture]:
    """By title: images (y, x, 3) from 0 to 1, and maps (y, x) as they are."""
    part = parts_compared(case, case.source.shape)[0]
    image = nt.open_image(np.ascontiguousarray(case.source), axes="cyx")
    found: dict[str, Picture] = {"input": _stretched(case.source[part])}
    maps: dict[str, Picture] = {}
    for family, model in models.items():
        extra = tuple(name for name, owner in MAPS.items() if owner == family)
        made = nt.stain(
            image, model, channels=list(range(len(case.source))), outputs=("image", *extra),
            dtype="float32", samples=SAMPLES, context="exact",
        ).compute()  # fmt: skip
        stained = made["image"] if extra else made
        low, high = model.card.output_range
        title = find_objective(family).PUBLISHED.title
        found[title] = _rgb((np.asarray(stained)[part] - low) / (high - low))
        for name in extra:
            maps[f"{TITLES[name]}, {title}"] = np.asarray(made[name], np.float32)[part[1:]]
    target = in_target_range(case.target, next(iter(models.values())))
    return {**found, "reference": _rgb(target[part]), **maps}


def _rgb(values: NDArray[Any]) -> Picture:
    return np.asarray(np.clip(np.moveaxis(values, 0, -1), 0, 1), np.float32)


def _stretched(values: NDArray[Any]) -> Picture:
    low, high = np.percentile(values, (0.5, 99.8))
    return _rgb((values.astype(np.float32) - low) / (high - low))


def draw(found: Mapping[str, Picture], target: Path) -> None:
    """Write the pictures as one figure of two rows."""
    from matplotlib.figure import Figure

    height, width = found["input"].shape[:2]
    columns = (len(found) + 1) // 2
    size = (SIDE * columns, 2 * (SIDE * height / width + 0.3))
    figure = Figure(figsize=size, layout="constrained", dpi=90)
    places = figure.subplots(2, columns, squeeze=False).ravel()
    for place in places:
        place.set_axis_off()
    for place, (title, picture) in zip(places, found.items(), strict=False):
        flat = {"cmap": "inferno", "vmin": 0.0} if picture.ndim == 2 else {}
        drawn = place.imshow(picture, interpolation="nearest", **flat)
        place.set_title(title, fontsize=8)
        if flat:
            bar = figure.colorbar(drawn, ax=place, shrink=0.7, pad=0.02)
            bar.ax.tick_params(labelsize=6)
    figure.savefig(target)


def main() -> None:
    """Stain and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/table"), help="the table's")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--tasks", default=",".join(TASKS))
    options = parser.parse_args()
    tune_allocator()
    for name in options.tasks.split(","):
        task = TASKS[name](options.data, options.work)
        files = {family: model_of(options.work / name, task, family) for family in FAMILIES}
        missing = [path.name for path in files.values() if not path.is_file()]
        if missing:
            raise SystemExit(f"Run benchmarks.staining_table first: {', '.join(missing)} missing.")
        models = {family: nt.load_model(path) for family, path in files.items()}
        draw(pictures(next(task.cases()), models), options.out / f"table-{name}.png")


if __name__ == "__main__":
    main()
