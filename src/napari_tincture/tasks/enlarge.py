"""Super-resolution: an image several times larger, with details that a denoiser makes up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from napari_tincture.call import Call
from napari_tincture.diffusion.subjects import Picture
from napari_tincture.errors import InputError, ModelError
from napari_tincture.io.identity import signature
from napari_tincture.io.open import open_image
from napari_tincture.models import Model
from napari_tincture.models.card import ModelCard
from napari_tincture.raster import Raster
from napari_tincture.tasks._artist import Drawer, How, check_memory
from napari_tincture.tasks._look import Look
from napari_tincture.tasks._record import record
from napari_tincture.tasks._run import as_model
from napari_tincture.tasks._scene import Scene
from napari_tincture.tasks.synthesize import as_result, result_kind

FACTORS = range(2, 9)
SHOWN = 12
"""Bytes per pixel and channel that an enlarged image takes while it is made."""


@dataclass(frozen=True)
class ImageSource:
    """The planes of an image, enlarged as a denoiser is shown them."""

    image: Raster
    card: ModelCard
    factor: int

    @property
    def leading(self) -> str:
        """Axes that are run over."""
        return self.image.axes[:-2].replace("c", "")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result."""
        height, width = self.image.shape[-2:]
        return height * self.factor, width * self.factor

    def identity(self) -> dict[str, Any]:
        """The image."""
        return {"image": signature(self.image), "factor": self.factor}

    def subject(self, plane: tuple[int, ...]) -> Picture:
        """One plane, read into memory and enlarged by a cubic."""
        one = self.image.plane(**dict(zip(self.leading, plane, strict=True)))
        values = one.compute().reshape(-1, *one.shape[-2:])
        if not np.isfinite(values).all():
            raise InputError(
                f"{self.image.name!r} holds NaN or infinite values. Replace them, for instance "
                "with numpy.nan_to_num."
            )
        known = self.card.normalisation
        gain, offset = known.affine(known.measure(values))
        seen = values * gain[:, None, None] + offset[:, None, None]
        tensor = torch.from_numpy(seen.astype(np.float32))[None]
        large = functional.interpolate(
            tensor, scale_factor=self.factor, mode="bicubic", align_corners=False
        )
        return Picture(large[0].clamp(-1, 1).numpy())


def enlarge(
    image: Any,
    model: str | Model | Any,
    factor: int = 4,
    *,
    sampler: str = "ddpm",
    steps: int | None = None,
    seed: int = 0,
    sampler_options: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: str = "auto",
    dtype: str = "auto",
) -> Raster:
    """Enlarge an image with a model of SR3's kind; nothing is computed until the result is read.

    What is finer than the image's pixels is made up: it may look right and be wrong.

    Parameters
    ----------
    image
        (t, c, z, y, x), of as many channels as the model takes.
    model
        A name of `list_models`, a path, or a `Model`, that is shown an image.
    factor
        From 2 to 8; the model's own is best.
    sampler, steps, seed, sampler_options
        As in `synthesize`; None: all steps that the model was trained with.
    device, precision, dtype
        As in `synthesize`.

    Returns
    -------
    Raster
        (t, c, z, factor · y, factor · x), where the image lies, of smaller pixels.

    Raises
    ------
    InputError
        If the image does not suit the model, or an argument cannot be right.

    References
    ----------
    Saharia et al., Image super-resolution via iterative refinement, TPAMI 2022.
    """
    found = as_model(model, "synthesize")
    if found.card.denoising is None or not found.card.image_inputs:
        raise ModelError(
            f"Model {found.card.name!r} makes images of label maps and enlarges none. Choose a "
            "model that is shown an image, such as an imported SR3."
        )
    given = open_image(image)
    _check(given, found.card, factor)
    total = int(found.card.denoising.schedule["steps"])
    source = ImageSource(given, found.card, factor)
    how = How(
        sampler, total if steps is None else steps, seed, 1.0, dict(sampler_options or {}), device,
        precision,
    )  # fmt: skip
    check_memory(found, source, how, SHOWN * given.sizes.get("c", 1))
    settings = {**how.settings(), "factor": factor, "device": device, "precision": precision}
    provenance, sources = record("enlarge", given, found, settings)
    several = found.card.rgb_output or len(found.card.outputs) > 1
    counts = tuple(given.sizes[axis] for axis in source.leading)
    look = Look(
        source.leading, counts, source.shape, len(found.card.outputs) if several else None,
        result_kind(dtype, found.card), found.card.output_range,
    )  # fmt: skip
    scene = Scene(Drawer(found, source, how), look, sources)
    flat = given.plane(c=0) if "c" in given.axes else given
    shares = [1 / factor if axis in "yx" else 1.0 for axis in flat.axes]
    grid = replace(flat, placement=flat.placement.level(shares))
    arguments = {
        "factor": factor, "sampler": sampler, "steps": steps, "seed": seed, "device": device,
        "sampler_options": sampler_options, "precision": precision, "dtype": dtype,
    }  # fmt: skip
    return as_result(scene, grid, found, provenance, Call("enlarge", given, found, arguments))


def _check(image: Raster, card: ModelCard, factor: int) -> None:
    if isinstance(factor, bool) or factor not in FACTORS:
        raise InputError(f"factor={factor!r}: expected a whole number from 2 to 8.")
    wanted, there = len(card.image_inputs), image.sizes.get("c", 1)
    if there != wanted:
        raise InputError(
            f"Image {image.name!r} has {there} channels; model {card.name!r} takes {wanted}. "
            "Choose a colour image, or one channel with plane(c=…)."
        )
