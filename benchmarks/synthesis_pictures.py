"""The picture of synthesis in the README: a map, two images of it, and what repainting changed.

``python -m benchmarks.synthesis_pictures [--out docs/synthesis.png]``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import napari_tincture as nt
from napari_tincture import samples
from napari_tincture.device import tune_allocator
from napari_tincture.models.card import ModelCard

MODEL, SIDE, GAP = "em-tissue", 256, 6
MITOCHONDRION = 4


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/synthesis.png"))
    options = parser.parse_args()
    tune_allocator()
    card = nt.load_model(MODEL).card
    labels = np.asarray(samples.tissue_map(SIDE, seed=3))
    changed = with_mitochondrion(labels)
    scene = nt.synthesize(labels, MODEL, seed=1)
    other = nt.synthesize(labels, MODEL, seed=2)
    after = nt.repaint(scene, changed, margin=24)
    parts = [coloured(labels, card), grey(scene), grey(other), coloured(changed, card), grey(after)]
    sheet = np.full((SIDE, len(parts) * (SIDE + GAP) - GAP, 3), 255, np.uint8)
    for number, part in enumerate(parts):
        sheet[:, number * (SIDE + GAP) : number * (SIDE + GAP) + SIDE] = part
    Image.fromarray(sheet).save(options.out, optimize=True)


def with_mitochondrion(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The map with one more, in the middle of a cell."""
    changed = labels.copy()
    y, x = np.mgrid[:SIDE, :SIDE]
    spot = ((y - 160) / 17) ** 2 + ((x - 60) / 26) ** 2 < 1
    changed[spot & (labels == 0)] = MITOCHONDRION
    return changed


def coloured(labels: NDArray[np.uint8], card: ModelCard) -> NDArray[np.uint8]:
    """A map in the colours of the model's classes, (y, x, 3)."""
    colours = [[int(c.colour[i : i + 2], 16) for i in (1, 3, 5)] for c in card.inputs]
    return np.array(colours, np.uint8)[labels]


def grey(image: Any) -> NDArray[np.uint8]:
    """An image as (y, x, 3)."""
    return np.repeat(np.asarray(image)[..., None], 3, axis=-1)


if __name__ == "__main__":
    main()
