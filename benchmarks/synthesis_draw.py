"""Images of label maps for the table: drawn one by one, and kept on disk."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

import napari_tincture as nt
from benchmarks.trained import Unfinished
from napari_tincture.durable import write_file, write_json
from napari_tincture.errors import TinctureWarning
from napari_tincture.models.model import Model

CLASSES = 6
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Way:
    """How a model draws: sampler, steps, and guidance; None: the one that its card names."""

    sampler: str = "dpm_solver"
    steps: int = 15
    guidance: float | None = None

    def __str__(self) -> str:
        told = "" if self.guidance is None else f", guidance {self.guidance:g}"
        return f"{self.sampler}, {self.steps} steps{told}"

    @property
    def arguments(self) -> dict[str, Any]:
        """Of `synthesize`."""
        return {"sampler": self.sampler, "steps": self.steps, "guidance": self.guidance}


def drawn(
    model: Model, maps: Sequence[Image], way: Way, work: Path, deadline: float, device: str = "auto"
) -> tuple[list[Image], float]:
    """Images of maps, those that are not there yet, and seconds per image.

    Raises
    ------
    Unfinished
        If time is up before; what was drawn is kept.
    """
    name = "-".join(str(value) for value in way.arguments.values() if value is not None)
    folder = work / "drawn" / f"{model.fingerprint[:12]}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    images, seconds = [], []
    for number, labels in enumerate(maps):
        own = f"{number:03}-{blake2b(np.ascontiguousarray(labels), digest_size=6).hexdigest()}"
        file, told = folder / f"{own}.npy", folder / f"{own}.json"
        if not (file.is_file() and told.is_file()):
            if time.monotonic() > deadline:
                raise Unfinished(f"{way} is not finished; the same command goes on.")
            start = time.perf_counter()
            image = one(model, labels, way, number, device)
            taken = time.perf_counter() - start
            write_file(file, partial(_save, image))
            write_json(told, taken)
        images.append(np.load(file))
        seconds.append(float(json.loads(told.read_text("utf-8"))))
    print(f"{model.card.name}, {way}: {len(images)} images", file=sys.stderr, flush=True)
    # The first also measures the network and fills caches.
    return images, float(np.median(seconds))


def _save(image: Image, file: BinaryIO) -> None:
    np.save(file, image)


def one(model: Model, labels: Image, way: Way, seed: int, device: str = "auto") -> Image:
    """The image (y, x) of a map by any kind of model."""
    if model.card.task == "stain":
        source = nt.open_image(one_hot(labels), axes="cyx")
        with warnings.catch_warnings():
            # A square need not show what a whole section does.
            warnings.filterwarnings("ignore", ".*unlike what", TinctureWarning)
            return np.asarray(nt.stain(source, model, device=device, dtype="uint8")).squeeze()
    how: dict[str, Any] = {"seed": seed, "device": device}
    if model.card.denoising is not None:
        how |= way.arguments
    return np.asarray(nt.synthesize(labels, model, **how)).squeeze()


def one_hot(labels: Image) -> Image:
    """255 in the channel of a pixel's class, else 0: (classes, y, x), for translators of images."""
    hot: Image = (labels == np.arange(CLASSES, dtype=np.uint8)[:, None, None]).astype(
        np.uint8
    ) * 255
    return hot


def flat(labels: Image, greys: NDArray[np.float64]) -> Image:
    """Every class in its mean grey: what needs no model at all."""
    painted: Image = greys[labels].round().astype(np.uint8)
    return painted


def mean_greys(images: Sequence[Image], maps: Sequence[Image]) -> NDArray[np.float64]:
    """Of each class, over all pixels."""
    values, labels = (np.concatenate([each.ravel() for each in some]) for some in (images, maps))
    counts = np.bincount(labels, minlength=CLASSES)
    sums = np.bincount(labels, values.astype(np.float64), minlength=CLASSES)
    greys: NDArray[np.float64] = sums / counts.clip(min=1)
    return greys
