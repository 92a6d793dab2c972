"""CycleGAN's generator: a stack of residual blocks at a quarter of the resolution.

Keys of the state dict are those of the published implementation, whose checkpoints load as
they are (without the running statistics that old files carry for instance norm).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError

Norm = Literal["batch", "instance", "none"]
Padding = Literal["reflect", "replicate", "zero"]
DOWNSAMPLINGS = 2

SMALL = {"in_channels": 2, "out_channels": 3, "ngf": 4, "n_blocks": 2}
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 3,
    ngf: int = 64,
    n_blocks: int = 9,
    norm: Norm = "instance",
    dropout: bool = False,
    padding: Padding = "reflect",
) -> ResnetGenerator:
    """Build ``resnet_9blocks`` (the default) or ``resnet_6blocks``; sides are multiples of 4.

    Parameters
    ----------
    ngf
        Channels of the first convolution; four times as many in the residual blocks.
    n_blocks
        Number of residual blocks.
    norm
        ``"none"`` gives convolutions without bias, as the published code does.
    dropout
        Half of the values dropped inside each block, in training.
    padding
        How the residual blocks extend their borders.

    References
    ----------
    Zhu et al., CycleGAN, ICCV 2017; blocks after Johnson et al., ECCV 2016
    (11,378,179 parameters for 9 blocks, 7,837,699 for 6).
    """
    return ResnetGenerator(in_channels, out_channels, ngf, n_blocks, norm, dropout, padding)


class ResnetGenerator(nn.Module):
    """From (b, in_channels, y, x) to (b, out_channels, y, x) in [-1, 1]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ngf: int,
        n_blocks: int,
        norm: Norm,
        dropout: bool,
        padding: Padding,
    ) -> None:
        super().__init__()
        if ngf < 1 or n_blocks < 0:
            raise ModelError(f"Expected ngf ≥ 1 and n_blocks ≥ 0, got {ngf} and {n_blocks}.")
        bias = norm == "instance"
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(in_channels, ngf, 7, bias=bias),
            make_norm(norm, ngf),
            nn.ReLU(),
        ]
        widths = [ngf * 2**level for level in range(DOWNSAMPLINGS + 1)]
        for a, b in pairwise(widths):
            convolution = nn.Conv2d(a, b, 3, stride=2, padding=1, bias=bias)
            layers += [convolution, make_norm(norm, b), nn.ReLU()]
        layers += [ResnetBlock(widths[-1], norm, dropout, padding) for _ in range(n_blocks)]
        for a, b in pairwise(reversed(widths)):
            up = nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1, bias=bias)
            layers += [up, make_norm(norm, b), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Translate an image."""
        result: Tensor = self.model(x)
        return result


class ResnetBlock(nn.Module):
    """x + conv(relu(conv(x))), normalised, without an activation after the sum.

    Parameters
    ----------
    bias
        Whether convolutions have one beside a batch norm, or none, too.
    activated
        Whether a ReLU ends the branch, before the sum.
    """

    def __init__(
        self,
        channels: int,
        norm: Norm,
        dropout: bool,
        padding: Padding,
        *,
        bias: bool = False,
        activated: bool = False,
    ) -> None:
        super().__init__()
        bias = bias or norm == "instance"
        layers: list[nn.Module] = []
        for first in (True, False):
            layers += _padding_layers(padding)
            layers.append(
                nn.Conv2d(channels, channels, 3, padding=int(padding == "zero"), bias=bias)
            )
            layers.append(make_norm(norm, channels))
            if first:
                layers.append(nn.ReLU())
                layers += [nn.Dropout(0.5)] if dropout else []
        layers += [nn.ReLU()] if activated else []
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's correction."""
        result: Tensor = x + self.conv_block(x)
        return result


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm without weights, by whichever kernel is fastest in training on a CPU.

    torch's own takes three times as long, and gives its results in the contiguous format: with
    channels last, each convolution of a training step would copy its input and its gradients.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (b, c, y, x) over y and x."""
        # Without training, tiles need the one call that a network's trace has found.
        if not (self.training and x.is_cpu):
            return super().forward(x)
        if x.is_contiguous():
            return functional.group_norm(x, x.shape[1], eps=self.eps)
        images = [_batch_norm(image, self.eps) for image in x.split(1)]
        return images[0] if len(images) == 1 else torch.cat(images)


def _batch_norm(image: Tensor, eps: float) -> Tensor:
    return functional.batch_norm(image, None, None, training=True, eps=eps)


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """The normalisation layer of the published code's ``--norm`` option."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "instance":
        return InstanceNorm(channels)
    if norm == "none":
        return nn.Identity()
    raise ModelError(f"Unknown norm {norm!r}: choose 'batch', 'instance' or 'none'.")


def _padding_layers(padding: Padding) -> list[nn.Module]:
    if padding == "reflect":
        return [nn.ReflectionPad2d(1)]
    if padding == "replicate":
        return [nn.ReplicationPad2d(1)]
    if padding == "zero":
        return []
    raise ModelError(f"Unknown padding {padding!r}: choose 'reflect', 'replicate' or 'zero'.")
