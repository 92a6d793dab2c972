"""Whether images of `nuclei-tissue` show the nuclei of their maps: ``python -m benchmarks.tissue``.

The fields are those of BBBC038 in colour whose names begin with c to f, from which nothing was
learned. `nuclei`, which has learned of fluorescence, reads them inverted; it does so in real
fields, too, and what it finds there is the measure.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_tincture as nt
from napari_tincture.training import nuclei_tissue

TESTED = "cdef"
SIDE = 256
"""Of the squares that are drawn: one window."""


def main() -> None:
    """Print the figures of real and of drawn fields."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="nuclei-tissue")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        maps = nuclei_tissue.prepare(options.data / nuclei_tissue.FOLDER, Path(folder))
        tested = [path for path in maps if path.stem.split("_")[1][0] in TESTED]
        _print(tested, options.model)


def _print(tested: list[Path], model: str) -> None:
    loaded = nt.load_model(model)
    ways: dict[str, Callable[[Path, int], NDArray[Any]]] = {
        "real": lambda path, _: _colours(path.parents[1] / "images" / path.name),
        "drawn": lambda path, seed: np.asarray(
            nt.synthesize(_map(path), loaded, seed=seed, style=path.stem.split("_")[0])
        ),
    }
    print(f"## {model}: {len(tested)} fields, squares of {SIDE} px\n")
    print("| fields | IoU of nuclei | grain |\n|---|---|---|")
    for name, images in ways.items():
        found = [_figures(images(path, seed), _map(path)) for seed, path in enumerate(tested)]
        overlap, grain = np.mean(found, 0)
        print(f"| {name} | {overlap:.3f} | {grain:.2f} |")
    print("\ngrain: mean magnitude of the mixed second difference of neighbours, grey values")


def _figures(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> tuple[float, float]:
    seen = nt.open_image(255 - image.mean(0).astype(np.uint8), axes="yx")
    found, wanted = np.asarray(nt.segment(seen, "nuclei")) > 0, labels > 0
    overlap = (found & wanted).sum() / max((found | wanted).sum(), 1)
    grain = np.abs(np.diff(np.diff(image.astype(float), axis=1), axis=2)).mean()
    return float(overlap), float(grain)


def _map(path: Path) -> NDArray[np.uint8]:
    return np.asarray(nt.open_image(path))[:SIDE, :SIDE]


def _colours(path: Path) -> NDArray[np.uint8]:
    return np.asarray(nt.open_image(path))[:, :SIDE, :SIDE]


if __name__ == "__main__":
    main()
