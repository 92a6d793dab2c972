"""Figures of denoisers in training."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from napari_tincture.diffusion.estimate import noised
from napari_tincture.diffusion.schedules import noise_schedule
from napari_tincture.models.label_maps import one_hot
from napari_tincture.training.denoising import Levels, by_image, distances, wanted
from napari_tincture.training.images.material import Portion, read_windows, windows
from napari_tincture.training.objectives.diffusion import denoising_of
from napari_tincture.training.translation import TranslationRecipe

MOST = 32
"""Squares that are looked at."""


class DenoisingJudge:
    """Asks denoisers for the noise in images that they do not learn from.

    Parameters
    ----------
    recipe
        Fitted to the images.
    part
        Images that were held back, and their labels; it may have none.
    device
        Where networks are.
    most
        Squares of images.
    """

    def __init__(
        self, recipe: TranslationRecipe, part: Portion, device: str | torch.device = "cpu",
        most: int = MOST,
    ) -> None:  # fmt: skip
        self._recipe, self._device = recipe, torch.device(device)
        self._pairs: list[tuple[Tensor, Tensor]] = []
        if part.pairs is not None:
            count = len(recipe.labelling.classes)
            places = windows(part.pairs.pictures, recipe.sampling.crop, most)
            images, labels = (read_windows(d, places) for d in (part.pairs.a, part.pairs.b))
            maps = [one_hot(each[None], count)[0] for each in labels]
            self._pairs = list(zip(images, maps, strict=True))

    @property
    def sees(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._pairs)

    def __call__(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Figures, of which "score" is the better the higher.

        Returns
        -------
        dict
            "denoising", the mean squared distance from what should be found in images at noise
            levels from hardly any to nearly all, always with the same noise; "constant", what the
            answer 0 has.
        """
        with torch.inference_mode():
            return self._figures(networks["forward"])

    def _figures(self, network: nn.Module) -> dict[str, float]:
        card = denoising_of(self._recipe.options)
        levels = Levels(noise_schedule(**card.schedule), card.time == "level")
        told, shares = levels.spread(len(self._pairs), torch.device("cpu"))
        generator = torch.Generator().manual_seed(0)
        found, constant = [], []
        for number, (image, labels) in enumerate(self._pairs):
            image, share = image[None], by_image(shares[number : number + 1])
            noise = torch.randn(image.shape, generator=generator)
            x = noised(image, noise, share)
            own = told[number : number + 1].to(self._device)
            result = network(x.to(self._device), own, labels[None].to(self._device)).float().cpu()
            aim = wanted(image, noise, share, card.predicts)
            found.append(distances(result[:, : image.shape[1]], aim, "mse").item())
            constant.append(aim.square().mean().item())
        figures = {"denoising": float(np.mean(found)), "constant": float(np.mean(constant))}
        score = -figures["denoising"]
        return {**figures, "score": score if math.isfinite(score) else -math.inf}
