"""Figures of networks in training, on images that they do not learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from napari_tincture.metrics.sets.features import Features
from napari_tincture.metrics.sets.kid import METRIC as KERNEL
from napari_tincture.models.label_maps import one_hot
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.material import Portion, read_windows, windows
from napari_tincture.training.small_features import SmallFeatures
from napari_tincture.training.translation import TranslationRecipe

SSIM_WINDOW = 7
MOST = 32
"""Squares of either domain that are looked at."""


class Judge:
    """Compares what networks make of held-out images with what they should, or could, make.

    Parameters
    ----------
    recipe
        Says how large the squares are.
    part
        Images that were held back; it may have none.
    device
        Where the networks are.
    most
        Squares of each domain.
    """

    def __init__(
        self,
        recipe: TranslationRecipe,
        part: Portion,
        device: str | torch.device = "cpu",
        most: int = MOST,
    ) -> None:
        self._device, self._side, self._most = device, recipe.sampling.crop, most
        self._noise = recipe.published.noise
        self._pairs: list[tuple[Tensor, Tensor]] = []
        if part.pairs is not None:
            places = windows(part.pairs.pictures, self._side, most)
            sides = (part.pairs.a, part.pairs.b)
            self._pairs = list(zip(*(read_windows(d, places) for d in sides), strict=True))
            if recipe.published.synthesizes:
                count = int(recipe.networks["forward"].options["in_channels"])
                self._pairs = [(one_hot(b[None], count)[0], a) for a, b in self._pairs]
        self._sources = [a for a, _ in self._pairs] or self._read(part.a)
        self._targets = self._read(part.b)
        made = part.sources if recipe.published.synthesizes else part.targets
        self._span = made.pictures[0].normalisation.span if made else (-1.0, 1.0)
        self._range = part.sources.pictures[0].normalisation.span if part.sources else (-1.0, 1.0)

    @property
    def sees(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._sources)

    def __call__(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Figures, of which "score" is the better the higher.

        Returns
        -------
        dict
            Where there are pairs, means over squares of "ssim" (scikit-image's default), "psnr"
            (dB), "mse" and "pearson", of values scaled to 0 … 1. With a way back "cycle_error",
            the mean absolute difference after a round trip, as a share of the range of values.
            Without pairs "frechet" and "kernel", distances of the results from real images, by
            `SmallFeatures`.
        """
        with torch.inference_mode():
            made = [self._translated(networks["forward"], a) for a in self._sources]
            figures = _likeness(made, [b for _, b in self._pairs], self._span)
            if "backward" in networks:
                figures["cycle_error"] = self._cycle_error(networks["backward"], made)
            if not self._pairs and len(self._targets) > 1 and len(made) > 1:
                figures |= distances(made, self._targets)
        return {**figures, "score": _score(figures)}

    def _read(self, domain: Domain | None) -> list[Tensor]:
        if domain is None:
            return []
        return read_windows(domain, windows(domain.pictures, self._side, self._most))

    def _translated(self, network: nn.Module, image: Tensor) -> Tensor:
        return translated(network, image, self._noise, self._device)

    def _cycle_error(self, back: nn.Module, made: Sequence[Tensor]) -> float:
        low, high = self._range
        errors = [
            (self._translated(back, b) - a).abs().mean() / (high - low)
            for a, b in zip(self._sources, made, strict=True)
        ]
        return float(torch.stack(errors).mean())


def distances(made: Sequence[Tensor], real: Sequence[Tensor]) -> dict[str, float]:
    """Fréchet and kernel distance of images (c, y, x) from real ones, by `SmallFeatures`.

    Fréchet's is that of normal distributions of independent features, the sum over them of
    (µ₁ - µ₂)² + (σ₁ - σ₂)²: tens of images say little of how hundreds of features vary together,
    and what they seem to say would outweigh the rest. At least two images of each.
    """
    describe = SmallFeatures(len(made[0]))
    theirs, ours = (
        np.concatenate([describe(image[None]).numpy() for image in images])
        for images in (real, made)
    )
    # Every feature counts alike, however much its values vary.
    centre, spread = theirs.mean(0), theirs.std(0)
    spread = np.maximum(spread, 0.1 * spread.mean() + 1e-6)
    fake, true = ((values - centre) / spread for values in (ours, theirs))
    terms = (fake.mean(0) - true.mean(0)) ** 2 + (fake.std(0) - true.std(0)) ** 2
    kernel = KERNEL.figures(_feature_set(fake), _feature_set(true))
    return {"frechet": float(terms.sum()), "kernel": float(kernel["kid"])}


def translated(
    network: nn.Module, image: Tensor, noise: int = 0, device: str | torch.device = "cpu"
) -> Tensor:
    """What a network makes of an image (c, y, x), on the CPU; the same noise for the same size."""
    batch = image[None]
    if noise:
        generator = torch.Generator().manual_seed(0)
        shape = (1, noise, *batch.shape[2:])
        batch = torch.cat([batch, torch.randn(shape, generator=generator)], dim=1)
    batch = batch.to(device).contiguous(memory_format=torch.channels_last)
    result: Tensor = network(batch)
    return result[0].float().cpu()


def _feature_set(values: NDArray[Any]) -> Any:
    features = Features()
    features.add(values.astype(np.float32))
    return features.result()


def _likeness(
    made: Sequence[Tensor], wanted: Sequence[Tensor], span: tuple[float, float]
) -> dict[str, float]:
    rows = [
        likeness(*((image.numpy() - span[0]) / (span[1] - span[0]) for image in pair))
        for pair in zip(made, wanted, strict=False)
    ]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} if rows else {}


def likeness(image: NDArray[Any], reference: NDArray[Any]) -> dict[str, float]:
    """SSIM, PSNR, MSE and Pearson correlation of images (c, y, x) in 0 … 1, over all channels."""
    ssim = np.nan
    if min(image.shape[1:]) >= SSIM_WINDOW:
        ssim = structural_similarity(image, reference, channel_axis=0, data_range=1.0)
    spread = image.std() * reference.std()
    centred = (image - image.mean()) * (reference - reference.mean())
    mse = float(np.mean((image - reference) ** 2))
    return {
        "ssim": float(ssim),
        "psnr": -10 * math.log10(max(mse, 1e-12)),
        "mse": mse,
        "pearson": float(centred.mean() / spread) if spread > 0 else 0.0,
    }


def _score(figures: Mapping[str, float]) -> float:
    if "ssim" in figures:
        score = figures["pearson"] + figures["ssim"] + figures["psnr"] / 50
    else:
        # Distances span orders of magnitude while networks learn.
        score = -math.log1p(figures.get("frechet", 0.0)) - figures.get("cycle_error", 0.0)
    return score if math.isfinite(score) else -math.inf
