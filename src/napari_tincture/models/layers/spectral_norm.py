"""Weights divided by their largest singular value, with the state-dict keys of classic torch.

``torch.nn.utils.spectral_norm`` names them ``weight_orig``, ``weight_u`` and ``weight_v``, and so
do the published files; what succeeded it uses other names.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SpectralWeight(nn.Module):
    """A weight, and the estimate of its singular vectors (Miyato et al., ICLR 2018, algorithm 1).

    Parameters
    ----------
    weight
        Initial value; its first axis against all others is the matrix that is normalised.
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight_orig = nn.Parameter(weight.detach())
        rows, columns = weight.flatten(1).shape
        self.register_buffer("weight_u", _unit(weight.new_empty(rows).normal_()))
        self.register_buffer("weight_v", _unit(weight.new_empty(columns).normal_()))

    def inverse_norm(self) -> Tensor:
        """One over the largest singular value; in training, after one power iteration."""
        matrix = self.weight_orig.flatten(1)
        left, right = self.weight_u, self.weight_v
        if self.training:
            with torch.no_grad():
                right = _unit(matrix.T @ left)
                left = _unit(matrix @ right)
                # Copied, so that an earlier pass's graph keeps the vectors that it used.
                self.weight_u.copy_(left)
                self.weight_v.copy_(right)
        # Not torch.dot, which refuses two types: under autocast the product has another.
        return (left * (matrix @ right)).sum().reciprocal()


class SpectralConv2d(SpectralWeight):
    """A convolution, `padding` pixels of zeros around its input."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        stride: int = 1,
        bias: bool = True,
        padding: int = 0,
    ) -> None:
        plain = nn.Conv2d(inputs, outputs, size, stride, bias=bias)
        super().__init__(plain.weight)
        self.bias, self.stride = plain.bias, stride
        self.padding = padding, padding

    def forward(self, x: Tensor) -> Tensor:
        """From (b, inputs, y, x) to (b, outputs, y', x')."""
        weight = self.weight_orig * self.inverse_norm()
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding)


def plain_or_spectral(
    spectral: bool,
    inputs: int,
    outputs: int,
    size: int,
    stride: int = 1,
    bias: bool = True,
    padding: int = 0,
) -> nn.Module:
    """A convolution, its weight divided by its largest singular value if `spectral`."""
    if spectral:
        return SpectralConv2d(inputs, outputs, size, stride, bias, padding)
    return nn.Conv2d(inputs, outputs, size, stride, padding, bias=bias)


class SpectralLinear(SpectralWeight):
    """A fully connected layer without bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, outputs, bias=False).weight)

    def forward(self, x: Tensor) -> Tensor:
        """From (b, inputs) to (b, outputs)."""
        return functional.linear(x, self.weight_orig * self.inverse_norm())


def _unit(vector: Tensor) -> Tensor:
    return functional.normalize(vector, dim=0, eps=1e-12)
