"""Crops around strokes, every painted class equally often."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from napari_tincture.training.images.augment import Augment, random_matrix, vary_values
from napari_tincture.training.images.crops import turned
from napari_tincture.training.images.pictures import Picture
from napari_tincture.training.labels.strokes import Strokes

CROP, BATCH = 128, 4
AUGMENT = Augment(flips=(True, True), rot90=True, gain=(0.9, 1.1), offset=0.05)


class StrokeCrops:
    """The batch of a step, from strokes as they are then; the seed and the step decide the draws.

    Parameters
    ----------
    pictures
        The image's planes.
    """

    def __init__(
        self, pictures: Mapping[tuple[int, ...], Picture], strokes: Strokes, seed: int
    ) -> None:
        self._pictures, self._strokes, self._seed = pictures, strokes, seed

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Images "a" (b, c, y, x) as the network takes them, and their classes "b" (b, 1, y, x)."""
        painted = np.flatnonzero(self._strokes.pixels).tolist()
        images, labels = [], []
        for slot in range(BATCH):
            rng = np.random.default_rng([self._seed, step, slot])
            plane, y, x = self._strokes.draw(rng, painted)
            rows, columns = (
                _around(rng, place, length)
                for place, length in zip((y, x), self._strokes.shape, strict=True)
            )
            matrix = random_matrix(AUGMENT, rng)
            image = turned(self._pictures[plane].read(rows, columns), matrix)
            images.append(vary_values(image, AUGMENT, rng))
            strokes = torch.from_numpy(self._strokes.get(plane, rows, columns)[None])
            labels.append(turned(strokes.float(), matrix))
        return {"a": torch.stack(images), "b": torch.stack(labels)}


def _around(rng: np.random.Generator, place: int, length: int) -> slice:
    """A crop that holds a pixel, within the image where it is large enough."""
    start = place - int(rng.integers(CROP))
    start = min(max(start, 0), length - CROP) if length >= CROP else (length - CROP) // 2
    return slice(start, start + CROP)
