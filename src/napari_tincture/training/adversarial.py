"""What generators and discriminators play against each other for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from napari_tincture.errors import InputError

Game = Literal["lsgan", "vanilla"]
Scores = Tensor | Sequence[Tensor]
"""What a discriminator gives: one map of scores, or one per scale."""


def adversarial(scores: Scores, real: bool, game: Game = "lsgan") -> Tensor:
    """How far scores of patches are from what is said of them.

    Parameters
    ----------
    scores
        A discriminator's output of any shape, without a sigmoid; of several maps the mean of
        their losses is taken.
    real
        What the patches are said to be.
    game
        "lsgan": mean squared difference from 1 or 0 (Mao et al. 2017, Least squares generative
        adversarial networks, equation 9 with a = 0 and b = c = 1, without the factor 1/2).
        "vanilla": binary cross-entropy of logits (Goodfellow et al. 2014, equation 1; for the
        generator in its non-saturating form).

    Returns
    -------
    Tensor
        Scalar.
    """
    if not isinstance(scores, Tensor):
        return torch.stack([adversarial(each, real, game) for each in scores]).mean()
    goal = torch.ones_like(scores) if real else torch.zeros_like(scores)
    if game == "lsgan":
        return functional.mse_loss(scores, goal)
    if game == "vanilla":
        return functional.binary_cross_entropy_with_logits(scores, goal)
    raise InputError(f"Unknown game {game!r}: choose one of {', '.join(get_args(Game))}.")


def hinge(scores: Scores, real: bool) -> Tensor:
    """What a discriminator lowers in the hinge game (Lim and Ye, Geometric GAN, 2017).

    max(0, 1 - s) of real patches, max(0, 1 + s) of others; the mean over scores of a map, then over
    maps.
    """
    if not isinstance(scores, Tensor):
        return torch.stack([hinge(each, real) for each in scores]).mean()
    return functional.relu(1 - scores if real else 1 + scores).mean()


def hinge_fooled(scores: Scores) -> Tensor:
    """What a generator lowers in the hinge game: minus the mean score, averaged over maps."""
    if not isinstance(scores, Tensor):
        return torch.stack([hinge_fooled(each) for each in scores]).mean()
    return -scores.mean()
