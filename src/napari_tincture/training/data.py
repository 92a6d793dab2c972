"""Training pairs from the folders that the starter recipes name."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread

from napari_tincture.errors import InputError

Split = str  # "train", "validation" or "test"


@dataclass(frozen=True, slots=True)
class Example:
    """One image with its target.

    Attributes
    ----------
    image
        (c, y, x) grey values as a user would open them.
    target
        (k, y, x) float32.
    columns
        The columns that belong to the split; the others may be looked at, never compared.
    labels
        (y, x) int32 objects, for segmentation.
    """

    name: str
    image: NDArray[Any]
    target: NDArray[np.float32]
    columns: tuple[int, int | None] = (0, None)
    labels: NDArray[np.int32] | None = None


def load_examples(data: Mapping[str, Any], root: Path, split: Split) -> list[Example]:
    """Read the examples of one split, as the `data` section of a recipe describes them.

    Raises
    ------
    InputError
        If the section's kind is unknown, or a file it names is missing.
    """
    kinds = {"planes": _planes, "instances": _instances}
    if data.get("kind") not in kinds:
        raise InputError(
            f"Unknown kind of training data {data.get('kind')!r}: choose {' or '.join(kinds)}."
        )
    folder = root / data["folder"]
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; point --data at the folder above it.")
    return kinds[data["kind"]](data, folder, split)


def quantise(planes: NDArray[np.uint16], shift: int) -> NDArray[Any]:
    """Drop the `shift` lowest bits; 8 of 16 leaves uint8, as the shipped sample is stored."""
    shifted: NDArray[Any] = planes >> shift
    return shifted.astype(np.uint8) if shift == 8 else shifted


def _planes(data: Mapping[str, Any], folder: Path, split: Split) -> list[Example]:
    image = np.stack([_read(folder / name) for name in data["inputs"]])
    image = quantise(image, data.get("shift", 0))
    target = np.stack(
        [
            (_read(folder / item["file"]).astype(np.float32) - item["low"])
            / (item["high"] - item["low"])
            for item in data["targets"]
        ]
    )
    return [Example(data["folder"], image, target, tuple(data[split]))]


def _instances(data: Mapping[str, Any], folder: Path, split: Split) -> list[Example]:
    from napari_tincture.training.labels.targets import instance_targets

    examples = []
    with (folder / data["index"]).open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["mode"] in data["modes"]]
    for row in rows:
        if _split_of(row["file"], data) != split:
            continue
        image = _read(folder / "images" / f"{row['file']}.png")
        labels = _read(folder / "labels" / f"{row['file']}.png").astype(np.int32)
        grey = image if image.ndim == 2 else image[..., :3].mean(axis=-1).astype(image.dtype)
        target = instance_targets(labels, border=data["border"])
        examples.append(Example(row["file"], grey[None], target, labels=labels))
    return examples


def _split_of(name: str, data: Mapping[str, Any]) -> Split:
    if name[0] in data["test"]:
        return "test"
    return "validation" if name[0] in data["validation"] else "train"


def _read(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise InputError(f"Training data lack the file {path}.")
    image: NDArray[Any] = imread(path)
    return image
