"""What a report shows of a comparison: pictures, and texts on how its images were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from napari_tincture.errors import ModelError
from napari_tincture.models.shipped import find_card
from napari_tincture.raster import Raster
from napari_tincture.tasks._pictures import picture_of, picture_of_map, shrunk
from napari_tincture.tasks.comparison import Comparison, cell_text
from napari_tincture.tasks.explain import explain

SMALL = 16 * 2**20
"""Pixels up to which maps are computed as a whole; larger ones are sampled in patches."""
PATCHES, PATCH = 12, 128
"""Patches along the longer side of a large map, and their side in pixels."""


def images_of(found: Comparison) -> Iterator[tuple[str, np.ndarray]]:
    """Name and picture of the reference and of all images."""
    named = {found.settings.get("reference") or "reference": found.reference, **found.images}
    for name, image in named.items():
        if image is not None:
            yield name, picture_of(image)


def maps_of(found: Comparison) -> Iterator[tuple[str, np.ndarray]]:
    """Name, with what its colours span, and picture of every map; of the first plane."""
    for (image, column), raster in found.maps.items():
        plane = raster.plane(**{axis: 0 for axis in raster.axes if axis in "tz"})
        channels = plane.channels or range(plane.sizes.get("c", 1))
        for number, channel in enumerate(channels):
            values = coarse(plane.plane(c=number) if "c" in plane.axes else plane)
            low, high = np.nanpercentile(values, (1, 99)) if np.isfinite(values).any() else (0, 1)
            label = f"{image}: {column}" + (f" of {channel}" if len(channels) > 1 else "")
            text = f"{label}, dark {cell_text(float(low))} to bright {cell_text(float(high))}"
            yield text, picture_of_map(values, float(low), float(high))


def coarse(plane: Raster) -> np.ndarray:
    """A map (y, x) as means of squares; of a large one, of patches spread over it."""
    height, width = plane.shape
    if height * width <= SMALL:
        return shrunk(np.asarray(plane))
    step = max(height, width) / PATCHES
    rows, columns = (max(1, round(n / step)) for n in (height, width))
    result = np.full((rows, columns), np.nan, np.float32)
    for i, j in np.ndindex(rows, columns):
        y, x = (
            max(0, min(int((k + 0.5) * n / count) - PATCH // 2, n - PATCH))
            for k, n, count in ((i, height, rows), (j, width, columns))
        )
        patch = plane.read((slice(y, y + PATCH), slice(x, x + PATCH)))
        if np.isfinite(patch).any():
            result[i, j] = np.nanmean(patch)
    return np.kron(result, np.ones((32, 32), np.float32))


def origins_of(found: Comparison) -> Iterator[str]:
    """What is known of how each image was made, models and their licences included."""
    named: Mapping[str, Raster | None] = {"reference": found.reference, **found.images}
    for name, image in named.items():
        if image is not None:
            yield f"{name}\n{explain(image)}"


def cards_of(found: Comparison) -> Iterator[tuple[str, str]]:
    """Name and card, as JSON, of every model that images were made with and that is still there."""
    rasters = (found.reference, *found.images.values())
    steps = [s for r in rasters if r is not None for s in r.provenance.get("steps", ())]
    named = {s["model"]: s.get("model_file") or s["model"] for s in steps if s.get("model")}
    for name, path in named.items():
        try:
            yield name, find_card(path).to_json()
        except ModelError:
            continue  # how the image was made still names the model and its weights
