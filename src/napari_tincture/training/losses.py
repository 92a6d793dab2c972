"""Loss functions for paired training; every one takes (b, c, y, x) and gives a scalar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from napari_tincture.errors import InputError

Loss = Callable[..., Tensor]


def l1(prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute difference; pixels count by their weight (b, 1, y, x), if there is one."""
    return _mean((prediction - target).abs(), weight)


def mse(prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared difference; pixels count by their weight (b, 1, y, x), if there is one."""
    return _mean((prediction - target).square(), weight)


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return values.mean()
    # Crops without any weight give 0.
    shares = weight / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)
    return (values * shares).sum() / values.shape[1]


def pearson(prediction: Tensor, target: Tensor) -> Tensor:
    """1 − Pearson's correlation, per channel over the whole batch, averaged over channels."""
    axes = (0, 2, 3)
    a = prediction - prediction.mean(axes, keepdim=True)
    b = target - target.mean(axes, keepdim=True)
    variances = a.square().sum(axes) * b.square().sum(axes)
    return (1 - (a * b).sum(axes) / torch.sqrt(variances + 1e-8)).mean()


def ssim(prediction: Tensor, target: Tensor, window: int = 7, data_range: float = 1.0) -> Tensor:
    """1 − structural similarity with a uniform window and sample covariance.

    The same numbers as scikit-image's default, whose mean leaves out the rim where the window
    does not fit (Wang et al., IEEE TIP 2004, equation 13; K1 = 0.01, K2 = 0.03).
    """
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    unbiased = window**2 / (window**2 - 1)

    def local(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, window, stride=1)

    mean_a, mean_b = local(prediction), local(target)
    var_a = unbiased * (local(prediction.square()) - mean_a.square())
    var_b = unbiased * (local(target.square()) - mean_b.square())
    covariance = unbiased * (local(prediction * target) - mean_a * mean_b)
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    scale = (mean_a.square() + mean_b.square() + c1) * (var_a + var_b + c2)
    return (1 - likeness / scale).mean()


def bce(prediction: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy per channel, of logits against probabilities in [0, 1]."""
    return functional.binary_cross_entropy_with_logits(prediction, target)


def dice(prediction: Tensor, target: Tensor) -> Tensor:
    """1 − soft Dice of logits against [0, 1], per channel over the batch (Milletari 2016)."""
    axes = (0, 2, 3)
    p = torch.sigmoid(prediction)
    overlap = 2 * (p * target).sum(axes) + 1
    return (1 - overlap / (p.square().sum(axes) + target.square().sum(axes) + 1)).mean()


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Categorical cross-entropy of logits against class probabilities (one-hot or soft)."""
    return functional.cross_entropy(prediction, target)


LOSSES: Mapping[str, Loss] = {
    f.__name__: f for f in (l1, mse, pearson, ssim, bce, dice, cross_entropy)
}
PIXELWISE = frozenset({"l1", "mse"})
"""Losses that let pixels count by a weight."""


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One summand: a loss of this module, its weight, and the channels it looks at."""

    kind: str
    weight: float = 1.0
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise InputError(f"Unknown loss {self.kind!r}: choose one of {', '.join(LOSSES)}.")

    def __call__(self, prediction: Tensor, target: Tensor, pixels: Tensor | None = None) -> Tensor:
        """The weighted loss; prediction and target are (b, c, y, x).

        `pixels` (b, 1, y, x) says how much each pixel counts; only "l1" and "mse" heed it.
        """
        if self.channels is not None:
            picked = list(self.channels)
            prediction, target = prediction[:, picked], target[:, picked]
        weighted = {"weight": pixels} if self.kind in PIXELWISE else {}
        return self.weight * LOSSES[self.kind](prediction, target, **weighted)


def total(
    terms: tuple[LossTerm, ...],
    prediction: Tensor,
    target: Tensor,
    pixels: Tensor | None = None,
) -> Tensor:
    """Sum of all terms, in float32 whatever precision the network ran in."""
    prediction, target = prediction.float(), target.float()
    return torch.stack([term(prediction, target, pixels) for term in terms]).sum()
