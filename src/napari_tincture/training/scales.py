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
    return torch.stack([adversarial(maps[-1], real, game) for maps in judgement]).sum()


def feature_matching(fake: Judgement, real: Judgement) -> Tensor:
    """How far features of fakes are from those of real images, which get no gradient.

    Mean absolute differences (Wang et al., CVPR 2018, equation 4), averaged over scales and over
    a scale's maps, times 4, as published.
    """
    scales = []
    for found, wanted in zip(fake, real, strict=True):
        terms = [l1(a, b.detach()) for a, b in zip(found[:-1], wanted[:-1], strict=True)]
        scales.append(4 * torch.stack(terms).mean())
    return torch.stack(scales).mean()
