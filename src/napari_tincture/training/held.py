"""How a network of fixed size is to see images of other sizes, judged by what it makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_tincture.models.card import Held
from napari_tincture.models.layers.fixed_size import trained_side
from napari_tincture.models.model import Model
from napari_tincture.tiling.inputs import Plane
from napari_tincture.tiling.job import Plan, TileJob
from napari_tincture.tiling.stream import stream
from napari_tincture.tiling.whole import PlaneValues
from napari_tincture.training.images.material import Portion, read_windows, windows
from napari_tincture.training.images.pictures import Picture
from napari_tincture.training.judge import distances, likeness

FIELDS = 4
"""Whole fields that are looked at."""
LARGEST = 8
"""Sides of the network's images that a field may be wide; of larger ones the middle is taken."""
FRAGMENTS = 64
"""Of results and of real images, that are compared where there are no pairs."""


def choose_held(model: Model, part: Portion, device: str = "cpu") -> tuple[Held, dict[str, float]]:
    """Whether a model should take γ and β from the reduced image, or as the mean over tiles.

    Parameters
    ----------
    part
        Images that it was not trained on.

    Returns
    -------
    how, figures
        Of both ways, "held reduced ssim" and "held tiles ssim" of whole fields where there are
        pairs, else "… frechet", the distance of the results' fragments from those of real images,
        by `SmallFeatures`; "reduced" and nothing where there is nothing to look at, or the network
        takes any size.
    """
    side = trained_side(model.network)
    if side is None:
        return "reduced", {}
    paired = part.pairs is not None
    name, measure = ("ssim", _likeness) if paired else ("frechet", _distance)
    ways: tuple[Held, ...] = get_args(Held)
    found = [
        measure(model.with_card(model.card.replace(held=how)), part, side, device) for how in ways
    ]
    values = {how: value for how, value in zip(ways, found, strict=True) if value is not None}
    if not values:
        return "reduced", {}
    best = sorted(values, key=lambda how: values[how], reverse=paired)[0]
    return best, {f"held {how} {name}": value for how, value in values.items()}


def _likeness(model: Model, part: Portion, side: int, device: str) -> float | None:
    assert part.pairs is not None
    targets = _fields(part.pairs.b.pictures, side)
    low, high = model.card.output_range
    values = []
    for number, source in _fields(part.pairs.a.pictures, side).items():
        made, wanted = whole(model, source, device), _all_of(targets[number])
        both = ((image - low) / (high - low) for image in (made, wanted.numpy()))
        values.append(likeness(*both)["ssim"])
    return float(np.mean(values)) if values else None


def _distance(model: Model, part: Portion, side: int, device: str) -> float | None:
    if part.a is None or part.b is None:
        return None
    made = [
        torch.from_numpy(fragment)
        for source in _fields(part.a.pictures, side).values()
        for fragment in _fragments(whole(model, source, device), side)
    ]
    real = read_windows(part.b, windows(part.b.pictures, side, FRAGMENTS))
    if min(len(made), len(real)) < 2:
        return None
    return distances(made[:: max(len(made) // FRAGMENTS, 1)], real)["frechet"]


def _fields(pictures: tuple[Picture, ...], side: int) -> dict[int, Picture]:
    """Some that are larger than the network's images, by their number."""
    large = {
        number: picture
        for number, picture in enumerate(pictures)
        if min(picture.shape) >= side and max(picture.shape) > side
    }
    chosen = np.unique(np.linspace(0, len(large) - 1, min(len(large), FIELDS)).round().astype(int))
    numbers = [list(large)[index] for index in chosen]
    return {number: large[number].part(*_middle(large[number].shape, side)) for number in numbers}


def _middle(shape: tuple[int, int], side: int) -> tuple[slice, slice]:
    y, x = (
        slice((n - min(n, LARGEST * side)) // 2, (n + min(n, LARGEST * side)) // 2) for n in shape
    )
    return y, x


def whole(
    model: Model,
    picture: Picture,
    device: str = "cpu",
    region: tuple[tuple[int, int], tuple[int, int]] | None = None,
    known: dict[Plane, PlaneValues] | None = None,
) -> NDArray[np.float32]:
    """What a model makes of a whole plane, (c, y, x), tile by tile; or of a region of it.

    Parameters
    ----------
    region
        ((y start, stop), (x start, stop)), seen with all that lies around it.
    known
        Values of planes that depend on the whole of them, instead of being found.
    """
    job = TileJob(picture.inputs, model, Plan(device=device, region=region), known)
    shape = [b - a for a, b in region] if region else picture.shape
    result = np.zeros((len(model.card.outputs), *shape), np.float32)

    def write(item: tuple[tuple[int, ...], object], block: NDArray[np.float32]) -> None:
        plane, tile = item
        if plane == picture.plane:
            result[(slice(None), *job.grid.place(tile))] = block  # type: ignore[arg-type]

    items = [item for item in job.items() if item[0] == picture.plane]
    stream(job, write, wanted=[items])
    return result


def _fragments(image: NDArray[np.float32], side: int) -> Iterator[NDArray[np.float32]]:
    height, width = image.shape[1:]
    for y in range(0, height - side + 1, side):
        for x in range(0, width - side + 1, side):
            yield image[:, y : y + side, x : x + side]


def _all_of(picture: Picture) -> Tensor:
    height, width = picture.shape
    return picture.read(slice(0, height), slice(0, width))
