"""Draw the pictures of the shipped models' cards: a sample image, and what is made of it.

python tools/model_pictures.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import color, transform

import napari_tincture as nt
from napari_tincture import samples
from napari_tincture.io.png import write_png
from napari_tincture.models import Channel, find_card
from napari_tincture.models.pictures import picture_path

SIDE = 160
"""Pixels of each half."""
GAP = 4
Pixels = NDArray[Any]
coloured: Callable[..., Pixels] = color.label2rgb
resized: Callable[..., Pixels] = transform.resize


def neurons() -> tuple[Pixels, Pixels]:
    """Phase contrast of columns that were never trained on, and its three stains."""
    part = samples.neuron_phase().crop({"y": slice(0, 256), "x": slice(768, 1024)})
    stain = np.asarray(nt.stain(part, "phase-to-dapi"))  # DAPI, MAP2, NFH
    return grey(np.asarray(part)[3]), byte(np.stack([stain[2], stain[1], stain[0]], -1))


def nuclei() -> tuple[Pixels, Pixels]:
    """Nuclei, and the objects found over them."""
    part = samples.nuclei(0).crop({"y": slice(100, 356), "x": slice(100, 356)})
    image = grey(np.asarray(part))
    return image, byte(coloured(np.asarray(nt.segment(part, "nuclei")), image, alpha=0.5))


def blood() -> tuple[Pixels, Pixels]:
    """Unstained blood, and its stain."""
    part = samples.unstained_blood().crop({"y": slice(0, 320), "x": slice(0, 320)})
    stain = np.asarray(nt.stain(part, "unstained-to-wright-giemsa"))
    return grey(np.asarray(part)), np.moveaxis(stain, 0, -1)


def tissue() -> tuple[Pixels, Pixels]:
    """A made-up map of tissue, and the micrograph drawn of it."""
    labels = np.asarray(samples.tissue_map(256))
    return painted(labels, find_card("em-tissue").class_inputs), grey(micrograph())


def membranes() -> tuple[Pixels, Pixels]:
    """That micrograph, and the classes found in it: no real one is shipped."""
    image = micrograph()
    found = np.asarray(nt.segment(image, "em-membranes", output="classes"))
    return grey(image), painted(found, find_card("em-membranes").outputs)


def nuclei_tissue() -> tuple[Pixels, Pixels]:
    """A label map of nuclei, and the tissue drawn of it."""
    part = samples.nuclei_map(1).crop({"y": slice(0, 256), "x": slice(0, 256)})
    drawn = np.asarray(nt.synthesize(part, "nuclei-tissue", seed=1, style="purple"))
    return painted(np.asarray(part), find_card("nuclei-tissue").class_inputs), np.moveaxis(
        drawn, 0, -1
    )


def hologram() -> tuple[Pixels, Pixels]:
    """A test hologram and its bright-field image, from the figure of the README."""
    figure = np.asarray(Image.open(Path(__file__).parents[1] / "docs" / "hologram.png"))
    side, step = len(figure), (figure.shape[1] - len(figure)) // 4
    return figure[:, :side], figure[:, step : step + side]


@cache
def micrograph() -> Pixels:
    """A drawn electron micrograph (y, x)."""
    return np.asarray(nt.synthesize(samples.tissue_map(256), "em-tissue", seed=1))


def painted(labels: Pixels, classes: Sequence[Channel]) -> Pixels:
    """A label map in the colours of a card."""
    image = np.zeros((*labels.shape, 3), np.uint8)
    for channel in classes:
        rgb = [int(channel.colour[i : i + 2], 16) for i in (1, 3, 5)]
        image[labels == channel.value] = rgb
    return image


DRAWN: dict[str, Callable[[], tuple[Pixels, Pixels]]] = {
    "phase-to-dapi": neurons,
    "nuclei": nuclei,
    "unstained-to-wright-giemsa": blood,
    "em-tissue": tissue,
    "nuclei-tissue": nuclei_tissue,
    "em-membranes": membranes,
    "hologram-to-brightfield": hologram,
}


def grey(values: Pixels) -> Pixels:
    """A plane as RGB, from its 1st to its 99.5th percentile."""
    low, high = np.percentile(values, (1, 99.5))
    scaled = ((values - low) / max(high - low, 1e-9)).clip(0, 1)
    return byte(np.repeat(scaled[..., None], 3, -1))


def byte(values: Pixels) -> Pixels:
    """Values from 0 to 1 as uint8."""
    return np.asarray((values.clip(0, 1) * 255).round(), np.uint8)


def main() -> None:
    """Write all pictures."""
    for name, draw in DRAWN.items():
        halves = [byte(resized(half / 255, (SIDE, SIDE), anti_aliasing=True)) for half in draw()]
        gap = np.zeros((SIDE, GAP, 3), np.uint8)
        path = picture_path(name)
        write_png(path, np.concatenate([halves[0], gap, halves[1]], 1))
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
