"""What networks in training draw of a part of a label map that somebody looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.tasks.synthesize import synthesize
from napari_tincture.training.channels import channels_of
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.labels.synthesizers import as_synthesizer
from napari_tincture.training.translation import TranslationRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

STEPS = 8
"""Of a preview by a denoiser: enough to see what it has learned."""


class DrawnPreview:
    """As `training.preview.Preview`, of families that make images of label maps.

    Parameters
    ----------
    images
        What is made.
    recipe
        Gives the recipe as it was fitted to its images; asked once the training has begun.
    device
        Where the networks are.
    """

    rgb: bool

    def __init__(
        self, images: Domain, recipe: Callable[[], TranslationRecipe], device: str
    ) -> None:
        self._images, self._recipe, self._device = images, recipe, device
        self.rgb = len(channels_of(images)) == 3 and images.pictures[0].raster.rgb

    @property
    def limits(self) -> tuple[float, float]:
        """Range of the results' values."""
        return 0.0, 255.0

    def picture(self, raster: Raster) -> Raster:
        """A label map that is looked at.

        Raises
        ------
        InputError
            If it is none.
        """
        if raster.dtype.kind not in "biu":
            raise InputError(
                f"{raster.name!r} holds {raster.dtype} values, and this training makes images of "
                "label maps. Choose a Labels layer under Preview."
            )
        return raster

    def __call__(
        self, networks: Mapping[str, nn.Module], labels: Raster, y: slice, x: slice
    ) -> NDArray[np.uint8]:
        """Draw a window, always of the same seed.

        Returns
        -------
        ndarray
            (c, y, x).

        Raises
        ------
        InputError
            If the map has values that are no class.
        """
        recipe = self._recipe()
        model = as_synthesizer(recipe, self._images, networks)
        unlabelled = recipe.labelling.unlabelled
        settings: dict[str, Any] = {"seed": 0, "device": self._device, "pixel_size": "ignore"}
        if unlabelled >= 0:
            settings["classes"] = {unlabelled: None}
        if (denoising := model.card.denoising) is not None:
            most = int(denoising.schedule["steps"])
            settings |= {"sampler": "dpm_solver", "steps": min(STEPS, most)}
        drawn = synthesize(labels.crop({"y": y, "x": x}), model, **settings)
        made: NDArray[np.uint8] = np.asarray(drawn)
        return made.reshape(-1, *made.shape[-2:])
