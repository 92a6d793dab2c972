"""Figures of networks in training that make images of label maps."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from napari_tincture.diffusion.estimate import noised
from napari_tincture.diffusion.schedules import noise_schedule
from napari_tincture.training.denoising import Levels, by_image, distances, wanted
from napari_tincture.training.images.material import Portion, read_windows, windows
from napari_tincture.training.judge import distances as set_distances
from napari_tincture.training.judge import likeness, translated
from napari_tincture.training.labels.one_hot import one_hot
from napari_tincture.training.objectives.diffusion import denoising_of
from napari_tincture.training.translation import TranslationRecipe

MOST = 32
"""Squares that are looked at."""


class SynthesisJudge:
    """Asks denoisers for the noise in held-out images, and compares what others make of maps.

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
        self._span = (-1.0, 1.0)
        if part.pairs is not None:
            count = len(recipe.labelling.classes)
            places = windows(part.pairs.pictures, recipe.sampling.crop, most)
            images, labels = (read_windows(d, places) for d in (part.pairs.a, part.pairs.b))
            maps = [one_hot(each[None], count)[0] for each in labels]
            self._pairs = list(zip(images, maps, strict=True))
            self._span = part.pairs.a.pictures[0].normalisation.span

    @property
    def sees(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._pairs)

    def __call__(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Figures, of which "score" is the better the higher.

        Returns
        -------
        dict
            Of denoisers "denoising", the mean distance from what they should find in images at
            noise levels from hardly any to nearly all, always with the same noise; and "constant",
            what the answer 0 has. Of others "frechet" and "kernel", distances of what they make
            from real images (see `judge.distances`), and the means of "ssim" and "psnr" (dB),
            which say little: many images fit one map.
        """
        with torch.inference_mode():
            if self._recipe.published.denoises:
                return self._of_denoiser(networks["forward"])
            return self._of_images(networks["forward"])

    def _of_denoiser(self, network: nn.Module) -> dict[str, float]:
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

    def _of_images(self, network: nn.Module) -> dict[str, float]:
        made = [translated(network, labels, device=self._device) for _, labels in self._pairs]
        real = [image for image, _ in self._pairs]
        low, high = self._span
        rows = [
            likeness(*((each.numpy() - low) / (high - low) for each in pair))
            for pair in zip(made, real, strict=True)
        ]
        figures = {key: float(np.mean([row[key] for row in rows])) for key in ("ssim", "psnr")}
        if len(made) > 1:
            figures |= set_distances(made, real)
        return {**figures, "score": -math.log1p(figures.get("frechet", 0.0))}
