"""Losses of discriminators that judge several sizes of an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_tincture.training.adversarial import Game, adversarial
from napari_tincture.training.losses import l1

Judgement = Sequence[Sequence[Tensor]]
"""By scale: maps of features, if there are any, then scores."""


def summed(judgement: Judgement, real: bool, game: Game = "lsgan") -> Tensor:
    """The adversarial loss, summed over scales (Wang et al., CVPR 2018, equation 3)."""
    return torch.stack([adversarial(s, real, game) for s in scores_of(judgement)]).sum()


def feature_matching(fake: Judgement, real: Judgement) -> Tensor:
    """How far features of fakes are from those of real images, which get no gradient.

    Mean absolute differences (Wang et al., CVPR 2018, equation 4), averaged over scales and over
    a scale's maps, times 4, as published.
    """
    scales = [4 * torch.stack(maps).mean() for maps in feature_differences(fake, real)]
    return torch.stack(scales).mean()


def feature_differences(fake: Judgement, real: Judgement) -> list[list[Tensor]]:
    """Mean absolute differences of features, by scale and map; real ones get no gradient."""
    return [
        [l1(a, b.detach()) for a, b in zip(found[:-1], wanted[:-1], strict=True)]
        for found, wanted in zip(fake, real, strict=True)
    ]


def scores_of(judgement: Judgement) -> list[Tensor]:
    """The scores of every scale, without features."""
    return [maps[-1] for maps in judgement]
