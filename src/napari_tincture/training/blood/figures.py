"""What a virtual stain of blood makes of debris, which takes no stain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.model import Model
from napari_tincture.samples import unstained_blood
from napari_tincture.training.blood.debris_check import (
    Mask,
    Stained,
    dark_debris,
    stained_fraction,
)
from napari_tincture.training.held import whole
from napari_tincture.training.images.domains import Domain


def debris_figures(model: Model, folder: Path, device: str = "cpu") -> dict[str, float]:
    """Shares of debris that a model stains, for its card.

    Parameters
    ----------
    model
        From blood without stain to its stain, three grey channels to RGB.
    folder
        What `prepare` made, with test images whose debris is known.

    Returns
    -------
    dict
        "debris pixels stained" and "debris objects stained" of all simulated test images, with
        "target …", what the reference images themselves have of both; "real field …", of the
        one real field, of whose debris a rule decides, with the number of its objects.

    Raises
    ------
    InputError
        If no test image holds debris.
    """
    made, wanted = [], []
    for path in sorted((folder / "test" / "source").glob("*.png")):
        known = folder / "test" / "debris" / path.name
        if known.is_file() and (mask := np.asarray(open_image(known)) > 0).any():
            target = np.asarray(open_image(folder / "test" / "target" / path.name))
            made.append(_of(_stained(model, path, device), mask))
            wanted.append(_of(target, mask))
    if not made:
        raise InputError(f"{folder / 'test'} holds no image with debris; run `prepare` first.")
    field = unstained_blood()
    debris = dark_debris(np.asarray(field, np.float64))
    real, _ = _of(_stained(model, field, device), debris)
    return {
        **_shares(made, ""),
        **_shares(wanted, "target "),
        "real field debris pixels stained": real.pixels,
        "real field debris objects stained": real.objects,
        "real field debris objects": float(real.count),
    }


def _of(rgb: NDArray[Any], mask: Mask) -> tuple[Stained, int]:
    """What was stained in an image (3, y, x), and of how many pixels."""
    image = np.moveaxis(np.asarray(rgb, np.float64), 0, -1)
    return stained_fraction(image, mask), int(mask.sum())


def _shares(found: list[tuple[Stained, int]], prefix: str) -> dict[str, float]:
    pixels, objects = sum(size for _, size in found), sum(own.count for own, _ in found)
    return {
        f"{prefix}debris pixels stained": sum(own.pixels * size for own, size in found) / pixels,
        f"{prefix}debris objects stained": sum(o.objects * o.count for o, _ in found) / objects,
    }


def _stained(model: Model, image: Any, device: str) -> NDArray[np.float32]:
    """The stain of an image, (3, y, x), 0 to 255."""
    own = Domain.open(image, channels=[0, 0, 0], normalisation=model.card.normalisation)
    low, high = model.card.output_range
    made = (whole(model, own.pictures[0], device) - low) / (high - low)
    rgb: NDArray[np.float32] = np.rint(255 * np.clip(made, 0, 1))
    return rgb
