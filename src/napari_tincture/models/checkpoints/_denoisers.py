"""What the denoisers' families share: levels that attend, sizes of images, windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError
from napari_tincture.models.checkpoints._found import Question

if TYPE_CHECKING:
    from napari_tincture.models.checkpoints._shapes import Shape

USUAL = {"start": 1e-4, "end": 2e-2}
"""First and last of the betas of Ho et al. 2020, section 4."""
SIZE = "Side of the images that it was trained on, in pixels; larger ones are made in such windows."


def multiples(widths: Sequence[int], first: int) -> list[float]:
    """How many times as many channels as the first level each level has."""
    return [width // first if width % first == 0 else width / first for width in widths]


def image_size(given: Mapping[str, Any], attending: Sequence[bool], side: int) -> int:
    """Of the trainings, as given, or such that the finest map that attends has `side` pixels.

    Raises
    ------
    ModelError
        If the sides of maps that attend would be no whole numbers.
    """
    levels = [level for level, attends in enumerate(attending) if attends]
    deepest = 2 ** (len(attending) - 1)
    size: int = given.get("image_size", side * 2 ** levels[0] if levels else 8 * deepest)
    if size < deepest or size % deepest:
        raise ModelError(
            f"image_size = {size} was given, but the network has {len(attending)} levels: "
            f"expected a multiple of {deepest}."
        )
    return size


def sides(size: int, attending: Sequence[bool]) -> list[int]:
    """Of the maps that attend, the largest first."""
    return [size // 2**level for level, attends in enumerate(attending) if attends]


def windows(size: int, levels: int) -> dict[str, Any]:
    """Windows of large images as `Denoising` takes them: of the trainings' size."""
    stride = 2 ** (levels - 1)
    return {"window": size, "overlap": size // 4 // stride * stride}


def size_question(size: int) -> dict[str, Question]:
    """Tensors do not tell the size of the images."""
    return {"image_size": Question(SIZE, size)}


def attends(shapes: Mapping[str, Shape], place: str) -> bool:
    """Whether there is attention behind a block."""
    return any(key.startswith(place) for key in shapes)
