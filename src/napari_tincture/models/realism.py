"""How real an image looks, place by place, to the discriminators that its network learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.models.layers.evened import drift, evened, lost
from napari_tincture.models.model import Model

QUANTILES = 101
"""Of the scores of real images: from 0 to 1 in steps of a hundredth."""
SMALLEST_STEP = 1e-6
"""Quantiles that are closer are taken to lie this far apart."""
SCALES = range(1, 5)
"""On how many scales a discriminator may judge."""


class Realism(nn.Module):
    """Scores of all discriminators of one domain, averaged and set against those of real images.

    Parameters
    ----------
    judges
        Discriminators; they are copied, and evened (see `evened`).
    inputs
        First channels of the source image that they look at beside the image: some for those
        that judge pairs, else 0.
    quantiles
        Of the averaged scores of real images, evenly spaced from 0 to 1; empty for scores as
        they are.
    """

    quantiles: Tensor

    def __init__(
        self, judges: list[nn.Module], inputs: int = 0, quantiles: tuple[float, ...] = ()
    ) -> None:
        super().__init__()
        self.judges = nn.ModuleList(evened(judge) for judge in judges)
        self._places = [{n: (drift(judge, n), lost(judge, n)) for n in SCALES} for judge in judges]
        self.inputs = inputs
        self.register_buffer("quantiles", torch.tensor(quantiles))

    @classmethod
    def of(cls, model: Model) -> Realism:
        """What judges the images that a model makes."""
        card = model.card
        judges = [model.part(name) for name in card.judges]
        inputs = first_width(judges[0]) - len(card.outputs)
        return cls(judges, inputs, card.calibration)

    def forward(self, source: Tensor, image: Tensor) -> Tensor:
        """From (b, c, y, x) and (b, c', y, x) to (b, 1, y, x): the share of real that is beaten.

        Without quantiles the scores themselves.
        """
        scores = self.scores(source, image)
        return calibrated(scores, self.quantiles) if len(self.quantiles) else scores

    def scores(self, source: Tensor, image: Tensor) -> Tensor:
        """Scores averaged over discriminators and scales, at the image's resolution."""
        shown = torch.cat([source[:, : self.inputs], image], dim=1) if self.inputs else image
        maps = []
        for judge, places in zip(self.judges, self._places, strict=True):
            found = _score_maps(judge(shown))
            maps += [_in_place(scores, *places[len(found)], image) for scores in found]
        return torch.stack(maps).mean(0)


def calibrated(scores: Tensor, quantiles: Tensor) -> Tensor:
    """Where scores (b, 1, y, x) lie among quantiles (n,): 0 below all, 1 above all."""
    low = quantiles[:-1, None, None]
    step = quantiles.diff().clamp_min(SMALLEST_STEP)[:, None, None]
    return ((scores - low) / step).clamp(0, 1).mean(1, keepdim=True)


def quantiles_of(scores: Sequence[ArrayLike]) -> tuple[float, ...]:
    """Quantiles of all scores of real images, evenly spaced from 0 to 1, as a card keeps them.

    Empty where there is no score.
    """
    every = np.concatenate([np.ravel(part) for part in scores] or [np.empty(0)])
    if not len(every):
        return ()
    found = np.quantile(every.astype(np.float64), np.linspace(0, 1, QUANTILES))
    return tuple(found.tolist())


def first_width(network: nn.Module) -> int:
    """How many channels a network of convolutions takes."""
    return next(int(p.shape[1]) for p in network.parameters() if p.ndim == 4)


def _score_maps(found: Any) -> list[Tensor]:
    """The score map of every scale, of which features may go before."""
    if isinstance(found, Tensor):
        return [found]
    return [item if isinstance(item, Tensor) else item[-1] for item in found]


def _in_place(scores: Tensor, shift: float, extra: int, image: Tensor) -> Tensor:
    """Scores where they belong, at the image's resolution; beyond the outermost they stay."""
    stride = image.shape[-1] // scores.shape[-1]
    rows, columns = (length - extra for length in scores.shape[-2:])
    full = functional.interpolate(
        scores[..., :rows, :columns], scale_factor=stride, mode="bilinear", align_corners=False
    )
    near = round(shift * stride)
    far = extra * stride - near
    return functional.pad(full, (near, far, near, far), mode="replicate")
