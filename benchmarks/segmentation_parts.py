"""Parts of a segmentation training that run on the processor: the weight map, elastic crops.

``python -m benchmarks.segmentation_parts '{"part": "weights", "how": "ours"}'`` runs one contender
on one thread and prints one JSON line; `print_segmentation_parts` runs all, each in a process of
its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.verdict import print_verdict
from napari_tincture.device import allocator_environment

SIDE, CELLS = 2048, 2000
CROP, SPREAD, KNOTS = 512, 10.0, 3
TIMED_CELLS = 10
"""Cells of the large field for which the peer is timed; all would take it half an hour."""
CUT_OUT = 384
"""Side of the part of it in which the weights of all cells are compared."""
ROUNDS = 15


def print_segmentation_parts() -> None:
    """Print both tables with what was measured beside the limits."""
    print("## Parts of a segmentation training, one thread\n")
    with tempfile.TemporaryDirectory() as folder:
        found = {
            part: {how: _run(part, how, str(Path(folder) / f"{part}-{how}.npy")) for how in hows}
            for part, hows in CONTENDERS.items()
        }
        error = _difference(folder, "weights")
        moved = _difference(folder, "elastic")
    weights, elastic = found["weights"], found["elastic"]
    print(f"| weight map, {SIDE}², {CELLS} cells | seconds |\n|---|---|")
    print(f"| tincture | {weights['ours']:.2f} |")
    print(
        f"| one distance transform per cell (SciPy; {TIMED_CELLS} of {CELLS} timed) "
        f"| {weights['scipy']:.0f} |\n"
    )
    print(f"| elastic crop, {CROP}², {KNOTS} × {KNOTS} knots | ms |\n|---|---|")
    for how, seconds in elastic.items():
        print(f"| {CONTENDERS['elastic'][how]} | {1000 * seconds:.1f} |")
    print_verdict(
        "segmentation",
        {
            "weight map, seconds": weights["ours"],
            "weight map: one transform per cell / ours": weights["scipy"] / weights["ours"],
            "weight map: largest difference": error,
            "elastic crop of image and labels, ms": 1000 * elastic["labels"],
            "elastic crop: SciPy / ours": elastic["scipy"] / elastic["ours"],
            "elastic crop: largest difference, of values in 0 … 1": moved,
        },
    )


def weights_ours(path: str) -> float:
    """Seconds for the whole field."""
    from napari_tincture.training.labels.weight_map import weight_map

    labels = cells()
    np.save(path, weight_map(labels[:CUT_OUT, :CUT_OUT]))
    return _least(lambda: weight_map(labels), 3)


def weights_scipy(path: str) -> float:
    """Seconds for the whole field, from those for a few of its cells."""
    from napari_tincture.training.labels.weight_map import split_touching

    labels = split_touching(cells())
    np.save(path, _by_transforms(split_touching(cells()[:CUT_OUT, :CUT_OUT])))

    def transform() -> None:
        for cell in range(1, TIMED_CELLS + 1):
            ndimage.distance_transform_edt(labels != cell)

    return _least(transform, 1) * CELLS / TIMED_CELLS


def _by_transforms(labels: np.ndarray) -> np.ndarray:
    ids = np.unique(labels[labels > 0])
    distances = [ndimage.distance_transform_edt(labels != cell) for cell in ids]
    d1, d2 = np.partition(distances, 1, axis=0)[:2]
    border = 10 * np.exp(-((d1 + d2) ** 2) / 50)
    return np.where(labels > 0, 1, 1 + border).astype(np.float32)


def cells() -> np.ndarray:
    """Discs around the points of a grid, moved at random, of which many touch."""
    rng = np.random.default_rng(0)
    labels = np.zeros((SIDE, SIDE), np.int32)
    count = int(np.ceil(np.sqrt(CELLS)))
    step = SIDE / count
    for number in range(CELLS):
        centre = (np.array(divmod(number, count)) + 0.5) * step + rng.normal(size=2) * 5
        radius = rng.uniform(12, 24)
        low = np.clip(centre - radius, 0, SIDE).astype(int)
        high = np.clip(centre + radius + 1, 0, SIDE).astype(int)
        y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
        part = labels[low[0] : high[0], low[1] : high[1]]
        part[((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2) & (part == 0)] = number + 1
    return labels


def elastic_ours(path: str, *, labels: bool = False) -> float:
    """Seconds for a crop of an image, or of an image and its labels."""
    import torch

    from napari_tincture.training.images.augment import (
        Augment,
        places_of,
        random_matrix,
        sample_at,
        sample_labels,
    )

    torch.set_num_threads(1)
    augment = Augment(elastic=SPREAD, elastic_knots=KNOTS)
    image = torch.from_numpy(_picture())[None]
    classes = torch.from_numpy(cells())

    def crop() -> np.ndarray:
        rng = np.random.default_rng(0)
        matrix = random_matrix(augment, rng)
        places = places_of(CROP, matrix, (SIDE / 2, SIDE / 2), augment, rng)
        if labels:
            sample_labels(classes, places, outside=-1)
        values: np.ndarray = sample_at(image, places)[0].numpy()
        return values

    np.save(path, crop())
    return _least(crop, ROUNDS)


def elastic_scipy(path: str) -> float:
    """The same with the functions that published code takes."""
    from napari_tincture.training.images.augment import Augment, random_matrix

    image = _picture()

    def crop() -> np.ndarray:
        rng = np.random.default_rng(0)
        random_matrix(Augment(), rng)  # the same draws
        vectors = rng.normal(size=(2, KNOTS, KNOTS)) * SPREAD
        x, y = (_bicubic(each) for each in vectors)
        at = np.arange(CROP) - (CROP - 1) / 2 + SIDE / 2
        places = [at[:, None] + y, at[None] + x]
        result: np.ndarray = ndimage.map_coordinates(image, places, order=1, mode="mirror")
        return result

    np.save(path, crop())
    return _least(crop, ROUNDS)


def elastic_skimage(path: str) -> float:
    """The same by scikit-image's way of warping, through a map of places."""
    from skimage.transform import warp

    image = _picture()
    rng = np.random.default_rng(0)

    def crop() -> np.ndarray:
        x, y = (_bicubic(each) for each in rng.normal(size=(2, KNOTS, KNOTS)) * SPREAD)
        at = np.arange(CROP) - (CROP - 1) / 2 + SIDE / 2
        places = np.stack([at[:, None] + y, at[None] + x])
        result: np.ndarray = warp(image, places, order=1, mode="reflect")
        return result

    np.save(path, crop())
    return _least(crop, ROUNDS)


def _bicubic(vectors: np.ndarray) -> np.ndarray:
    """torch's, as SciPy has splines instead of Keys' bicubic pieces."""
    import torch

    torch.set_num_threads(1)
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(vectors)[None, None], size=(CROP, CROP), mode="bicubic",
        align_corners=True,
    )  # fmt: skip
    result: np.ndarray = fine[0, 0].numpy()
    return result


def _picture() -> np.ndarray:
    return np.random.default_rng(1).random((SIDE, SIDE), np.float32)


def _least(work: Callable[[], Any], rounds: int) -> float:
    if rounds > 1:
        work()
    seconds = []
    for _ in range(rounds):
        # Of one thread's work the processor's time is that of an idle machine.
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


CONTENDERS: dict[str, dict[str, str]] = {
    "weights": {"ours": "tincture", "scipy": "one distance transform per cell"},
    "elastic": {
        "ours": "tincture",
        "labels": "tincture, with labels",
        "scipy": "scipy.ndimage.map_coordinates",
        "skimage": "skimage.transform.warp",
    },
}


def _run(part: str, how: str, path: str) -> float:
    asked = json.dumps({"part": part, "how": how, "path": path})
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    settings = os.environ | threads | allocator_environment()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.segmentation_parts", asked],
        env=settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{part} {how} failed:\n{done.stderr}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def _difference(folder: str, part: str) -> float:
    ours, peer = (np.load(Path(folder) / f"{part}-{how}.npy") for how in ("ours", "scipy"))
    return float(np.abs(ours - peer).max())


def _main() -> None:
    asked = json.loads(sys.argv[1])
    ways: dict[tuple[str, str], Callable[[str], float]] = {
        ("weights", "ours"): weights_ours,
        ("weights", "scipy"): weights_scipy,
        ("elastic", "ours"): elastic_ours,
        ("elastic", "labels"): lambda path: elastic_ours(path, labels=True),
        ("elastic", "scipy"): elastic_scipy,
        ("elastic", "skimage"): elastic_skimage,
    }
    seconds = ways[asked["part"], asked["how"]](asked.get("path", os.devnull))
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    _main()
