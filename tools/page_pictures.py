"""Draw the pictures that the pages of the documentation show, by the very code on the pages.

``python tools/page_pictures.py [PAGE ...]``: all pages, or those whose paths end so.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from doc_pages import DOCS, pages, run_page, steps
from numpy.typing import NDArray
from PIL import Image
from skimage.color import label2rgb

import napari_tincture as nt

HEIGHT = 320
"""Pixels of each image of a picture."""
GAP = 8
LARGEST = 200_000
"""Bytes of a picture, so that the repository stays small."""
PALETTE = ("#4c78a8", "#f58518", "#e45756", "#bab0ac", "#54a24b", "#b279a2")
Colours = NDArray[np.uint8]


def main(chosen: Sequence[str]) -> None:
    for page in pages():
        if chosen and not any(str(page).endswith(each) for each in chosen):
            continue
        if any(step.picture for step in steps(page)):
            with tempfile.TemporaryDirectory() as folder:
                run_page(page, Path(folder), draw)


def draw(name: str, images: Any) -> None:
    """Write images beside each other to ``docs/name``."""
    several = images if isinstance(images, tuple) else (images,)
    drawn = [scaled(in_colours(each)) for each in several]
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    row = np.concatenate([part for each in drawn for part in (each, gap)][:-1], axis=1)
    save(Image.fromarray(row), DOCS / name)


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG, with fewer colours where it would be large otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)
    for colours in (256, 128, 64):
        if path.stat().st_size <= LARGEST:
            break
        picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(DOCS.parent)}: {path.stat().st_size / 1e3:.0f} kB", flush=True)


def in_colours(image: Any) -> Colours:
    """An image as (y, x, 3) uint8: the middle plane, from dark to bright, labels in colours.

    A list of an image and labels shows the labels over the image.
    """
    if isinstance(image, list):
        below, labels = image
        shown = label2rgb(np.asarray(labels), in_colours(below), alpha=0.45, bg_label=0)
        return as_bytes(shown)
    raster = nt.open_image(image) if isinstance(image, np.ndarray) else image
    for axis in "tz":
        if axis in raster.axes:
            raster = raster.plane(**{axis: raster.sizes[axis] // 2})
    values = np.asarray(raster)
    if raster.kind == "labels":
        return labels_in_colours(values)
    if "c" in raster.axes and not raster.rgb:
        values = values[0]
    if raster.rgb:
        return np.moveaxis(values[:3], 0, -1).astype(np.uint8)
    low, high = np.percentile(values, (0.2, 99.8))
    grey = as_bytes((values - low) / max(high - low, 1e-9))
    return np.repeat(grey[..., None], 3, axis=-1)


def labels_in_colours(values: NDArray[Any]) -> Colours:
    """Classes in the colours of the shipped models, or objects in any."""
    if values.max() < len(PALETTE):
        colours: Colours = np.array(
            [[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in PALETTE], np.uint8
        )[values]
        return colours
    return as_bytes(label2rgb(values, bg_label=0))


def as_bytes(image: NDArray[Any]) -> Colours:
    """Values from 0 to 1 as uint8."""
    return (image.clip(0, 1) * 255).astype(np.uint8)


def scaled(image: Colours) -> Colours:
    """Make an image as high as all are."""
    wide = round(image.shape[1] * HEIGHT / image.shape[0])
    kind = Image.Resampling.BOX if image.shape[0] > HEIGHT else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize((wide, HEIGHT), kind))


if __name__ == "__main__":
    main(sys.argv[1:])
