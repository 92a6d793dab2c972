"""Normalisation between instance and layer norm, as U-GAT-IT has it (LIN and AdaLIN).

Instance norm (mean and variance of each channel) and layer norm (of all channels together) are
mixed by a learned ρ per channel, then scaled by γ and shifted by β (Kim et al., U-GAT-IT, ICLR
2020, equation 1); all variances are unbiased. Layer norm's moments follow from instance norm's,
and the whole is one scale and shift per channel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

EPS = 1e-5


class AdaptiveLayerInstanceNorm(nn.Module):
    """AdaLIN: scale and shift are given with each image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.full((1, channels, 1, 1), 0.9))

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """Normalise (b, c, y, x), with `gamma` and `beta` of (b, c)."""
        return _normalised(x, gamma[:, :, None, None], beta[:, :, None, None], self.rho)


class LayerInstanceNorm(nn.Module):
    """LIN: scale and shift are learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (b, c, y, x)."""
        return _normalised(x, self.gamma, self.beta, self.rho)


def clip_rho(network: nn.Module) -> None:
    """Put every ρ of a network back into [0, 1], as after each step of its optimiser."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, AdaptiveLayerInstanceNorm | LayerInstanceNorm):
                module.rho.clamp_(0, 1)


def _normalised(x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor) -> Tensor:
    if torch.is_grad_enabled():
        result: Tensor = _Learning.apply(x, gamma, beta, rho)
        return result
    # Tiles find the whole image's values at reductions: as few of them as there can be. The
    # number of pixels, too, is the whole image's.
    wide = _wide(x)
    variance, mean = torch.var_mean(wide, (2, 3), keepdim=True)
    count = wide.new_ones(1, 1, *x.shape[2:]).sum((2, 3), keepdim=True)
    scale, shift = _mixed(mean, variance, count, gamma, beta, rho)
    return torch.addcmul(shift, wide - mean, scale).to(x.dtype)


def _wide(x: Tensor) -> Tensor:
    # Moments of many pixels do not fit 16 bits.
    return x if x.dtype == torch.float64 else x.float()


def _mixed(
    mean: Tensor,
    variance: Tensor,
    count: Tensor | int,
    gamma: Tensor,
    beta: Tensor,
    rho: Tensor,
) -> tuple[Tensor, Tensor]:
    """Scale and shift, (b, c, 1, 1), of what lies around each channel's mean."""
    gap = mean - mean.mean(1, keepdim=True)
    deviations = (count - 1) * variance + count * gap.square()
    layer = deviations.sum(1, keepdim=True) / (mean.shape[1] * count - 1)
    by_instance = rho * (variance + EPS).rsqrt()
    by_layer = (1 - rho) * (layer + EPS).rsqrt()
    return gamma * (by_instance + by_layer), beta + gamma * by_layer * gap


class _Learning(torch.autograd.Function):
    """The same with a backward pass of few passes over the map.

    On a CPU autograd's own takes as long as the convolutions between which it stands.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor) -> Tensor:
        wide = _wide(x)
        count = x.shape[2] * x.shape[3]
        mean = wide.mean((2, 3), keepdim=True)
        around = wide - mean
        # torch.var takes many times longer than this on channels_last maps.
        variance = around.square().sum((2, 3), keepdim=True) / (count - 1)
        scale, shift = _mixed(mean, variance, count, gamma, beta, rho)
        ctx.save_for_backward(around, mean, variance, gamma, beta, rho)
        return torch.addcmul(shift, around, scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        around, *small = ctx.saved_tensors
        gradient = gradients[0].to(around.dtype)
        count = around.shape[2] * around.shape[3]
        by_scale = (gradient * around).sum((2, 3), keepdim=True)
        by_shift = gradient.sum((2, 3), keepdim=True)
        with torch.enable_grad():
            leaves = [value.detach().requires_grad_() for value in small]
            scale, shift = _mixed(leaves[0], leaves[1], count, *leaves[2:])
            by_mean, by_variance, *rest = torch.autograd.grad(
                (scale, shift), leaves, (by_scale, by_shift)
            )
        scale = scale.detach()
        constant = (by_mean - scale * by_shift) / count
        result = torch.addcmul(constant, around, by_variance * (2 / (count - 1)))
        return result.addcmul_(gradient, scale).to(gradients[0].dtype), *rest
