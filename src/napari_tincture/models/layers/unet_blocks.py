"""What U-Nets are made of: double convolutions, residual blocks, norms and attention gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError

Norm = Literal["none", "batch", "instance", "group"]
MOST_GROUPS = 32


def contracting_path(
    in_channels: int,
    sizes: Sequence[int],
    norm: Norm,
    *,
    padded: bool = True,
    residual: bool = False,
    dropout: float = 0.0,
) -> nn.ModuleList:
    """A block for each level, `sizes` its channels; dropout after the two deepest."""
    make = ResidualBlock if residual else double_conv
    inputs = [in_channels, *sizes[:-1]]
    drops = [dropout if level >= len(sizes) - 2 else 0.0 for level in range(len(sizes))]
    return nn.ModuleList(
        make(a, b, norm, padded=padded, dropout=p)
        for a, b, p in zip(inputs, sizes, drops, strict=True)
    )


def descend(path: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """Features of every level of a contracting path, the finest first."""
    features = []
    for level, block in enumerate(path):
        x = block(functional.max_pool2d(x, 2) if level else x)
        features.append(x)
    return features


def double_conv(
    a: int, b: int, norm: Norm, *, padded: bool = True, dropout: float = 0.0
) -> nn.Sequential:
    """Two 3×3 convolutions, each with norm and ReLU; unpadded ones take 2 pixels off each side."""
    layers = [*_conv(a, b, norm, padded), nn.ReLU(), *_conv(b, b, norm, padded), nn.ReLU()]
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """ReLU(F(x) + P x) with a double convolution F and a 1×1 convolution P.

    References
    ----------
    He et al., CVPR 2016, equation 2 and figure 5 (left).
    """

    def __init__(
        self, a: int, b: int, norm: Norm, *, padded: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.padded = padded
        self.branch = nn.Sequential(
            *_conv(a, b, norm, padded), nn.ReLU(), *_conv(b, b, norm, padded)
        )
        self.shortcut = nn.Conv2d(a, b, 1, bias=False)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, a, y, x) to (b, b, y', x')."""
        change = self.branch(x)
        kept = self.shortcut(x if self.padded else centre_crop(x, change))
        result: Tensor = self.dropout(torch.relu(kept + change))
        return result


class AttentionGate(nn.Module):
    """Attention coefficients of a skip connection, from it and from the coarser level.

    References
    ----------
    Oktay et al., Attention U-Net, 2018, equations 1 and 2 and figure 2, with as many inner channels
    as the skip connection has.
    """

    def __init__(self, skip: int, gate: int) -> None:
        super().__init__()
        # The paper's W_x (on the grid of the gating signal), W_g with b_g, and psi with b_psi.
        self.skip = nn.Conv2d(skip, skip, 2, stride=2, bias=False)
        self.gate = nn.Conv2d(gate, skip, 1)
        self.psi = nn.Conv2d(skip, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """Map (b, c, 2y, 2x) and the gating signal (b, g, y, x) to (b, 1, 2y, 2x) in (0, 1)."""
        skip, gate = joined(self.skip(skip), self.gate(gate))
        weights = torch.sigmoid(self.psi(torch.relu(skip + gate)))
        return functional.interpolate(weights, scale_factor=2, mode="bilinear")


def joined(*maps: Tensor) -> tuple[Tensor, ...]:
    """The same maps, joined and parted again.

    Tiles lose what they need no more of their halo where maps are joined. Maps of one size on the
    whole image would not be alike in a tile, if one has been cut and the other has not.
    """
    parts: tuple[Tensor, ...] = torch.cat(maps, 1).split([one.shape[1] for one in maps], 1)
    return parts


def centre_crop(value: Tensor, like: Tensor) -> Tensor:
    """The middle of (b, c, y, x), as high and wide as another map."""
    top = (value.shape[2] - like.shape[2]) // 2
    left = (value.shape[3] - like.shape[3]) // 2
    return value[:, :, top : top + like.shape[2], left : left + like.shape[3]]


def init_weights(module: nn.Module) -> None:
    """Draw a convolution's weights from N(0, 2 / N), N the inputs of a neuron; biases are 0.

    References
    ----------
    Ronneberger et al., MICCAI 2015, section 3, after He et al., ICCV 2015.
    """
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or module.weight.is_meta:
        return
    inputs = math.prod(module.weight.shape[1:])
    if isinstance(module, nn.ConvTranspose2d):
        # Kernels as large as the stride do not overlap: one pixel of each channel is seen.
        inputs = module.in_channels
    nn.init.normal_(module.weight, std=math.sqrt(2 / inputs))
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def check_norm(norm: str) -> None:
    """Raise a `ModelError` that lists the norms there are, unless this is one of them."""
    if norm not in get_args(Norm):
        raise ModelError(f"Unknown norm {norm!r}: choose one of {', '.join(get_args(Norm))}.")


def _conv(a: int, b: int, norm: Norm, padded: bool) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, padding=int(padded), bias=norm != "batch"), *_norm(norm, b)]


def _norm(norm: Norm, channels: int) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "instance":
        return [nn.InstanceNorm2d(channels)]
    return [nn.GroupNorm(_groups(channels), channels)] if norm == "group" else []


def _groups(channels: int) -> int:
    # Groups of one channel would be instance norm.
    most = min(MOST_GROUPS, channels // 2)
    return next((n for n in range(most, 1, -1) if channels % n == 0), 1)
