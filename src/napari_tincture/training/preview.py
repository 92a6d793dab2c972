"""What networks in training make of a part of an image that somebody looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_tincture.models.card import RGB
from napari_tincture.models.layers.fixed_size import holding, values_to_hold
from napari_tincture.raster import Raster
from napari_tincture.training.channels import channels_of
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pictures import Picture
from napari_tincture.training.judge import translated
from napari_tincture.training.labels.segmenters import probabilities
from napari_tincture.training.translation import TranslationRecipe


@dataclass(frozen=True)
class Preview:
    """How previews are made in one training.

    Attributes
    ----------
    recipe
        Of the training.
    described
        The input's domain as the recipe's data describe it: its channels and normalisation.
    targets
        The output's domain, which says what the results are.
    """

    recipe: TranslationRecipe
    described: Mapping[str, Any]
    targets: Domain

    @property
    def rgb(self) -> bool:
        """Whether results are red, green and blue."""
        if self.recipe.published.labels:
            return False
        return tuple(channel.name for channel in channels_of(self.targets)) == RGB

    @property
    def limits(self) -> tuple[float, float]:
        """Range of the results' values."""
        if self.recipe.published.labels:
            return 0.0, 1.0
        return (0.0, 255.0) if self.rgb else self.targets.pictures[0].normalisation.span

    def picture(self, raster: Raster) -> Picture:
        """An image that is looked at, as the networks take it; of a stack, the first plane.

        Raises
        ------
        InputError
            If it does not have the channels that the training takes.
        """
        values = {k: v for k, v in self.described.items() if k in ("channels", "normalisation")}
        return Domain.from_json({"images": [raster], **values}).pictures[0]

    def __call__(
        self, networks: Mapping[str, nn.Module], picture: Picture, y: slice, x: slice
    ) -> NDArray[Any]:
        """Translate a window.

        Returns
        -------
        ndarray
            (c, y, x): uint8 of a colour image, else float32 as the networks give it; of
            segmentation probabilities.
        """
        network = networks["forward"]
        device = next(network.parameters()).device
        # Every network takes multiples of the crops that it learns from.
        margin = int(getattr(network, "margin", 0))
        rows, columns = (
            _legal(s, network) if margin else _widened(s, self.recipe.sampling.crop) for s in (y, x)
        )
        image = picture.read(rows, columns)
        values = values_to_hold(network, image[None].to(device))
        with torch.inference_mode(), holding(network, values):
            result = translated(network, image, self.recipe.published.noise, device)
        if self.recipe.published.labels:
            result = probabilities(result, self.recipe.labelling)
        first = y.start - rows.start - margin, x.start - columns.start - margin
        inner = result[:, first[0] :, first[1] :]
        made: NDArray[Any] = inner[:, : y.stop - y.start, : x.stop - x.start].numpy()
        if not self.rgb:
            return made
        low, high = self.targets.pictures[0].normalisation.span
        scaled = (made - low) * (255.0 / (high - low))
        colours: NDArray[Any] = np.rint(scaled.clip(0.0, 255.0)).astype(np.uint8)
        return colours


def _widened(window: slice, side: int) -> slice:
    length = window.stop - window.start
    more = -length % side
    return slice(window.start - more // 2, window.stop + more - more // 2)


def _legal(window: slice, network: Any) -> slice:
    """What a network without padding must see of an axis to give a window of it."""
    start = window.start - network.margin
    length = window.stop + network.margin - start
    return slice(start, start + length + (network.residue - length) % 2**network.depth)
