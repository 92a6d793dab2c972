"""The U-Net of 2015, and the variants that followed it: padded, normalised, residual, gated."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.unet_blocks import (
    AttentionGate,
    Norm,
    ResidualBlock,
    centre_crop,
    check_norm,
    contracting_path,
    descend,
    double_conv,
    init_weights,
    joined,
)

Head = Literal["none", "sigmoid", "softmax"]

SMALL = {"in_channels": 2, "out_channels": 3, "depth": 2, "width": 4, "padded": True}
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 1,
    out_channels: int = 2,
    depth: int = 4,
    width: int = 64,
    max_width: int | None = None,
    padded: bool = False,
    norm: Norm = "none",
    dropout: float = 0.5,
    head: Head = "none",
    residual: bool = False,
    attention: bool = False,
) -> UNet:
    """Build a U-Net; the defaults are the published architecture.

    Parameters
    ----------
    in_channels, out_channels
        Channels of the image and of the result.
    depth
        How often the image is halved; the stride of the network is ``2**depth``.
    width, max_width
        Channels of the first level, doubled at each level up to `max_width`.
    padded
        False: convolutions without padding, the output is smaller than the input (for depth 4,
        input sides ≡ 12 mod 16 and 184 pixels are lost). True: zero padding, the output has the
        size of the input, whose sides are multiples of the stride.
    norm
        Normalisation after each 3×3 convolution. "group": with weights, 32 groups, or fewer of at
        least two channels each.
    dropout
        Probability of dropping a value after the two deepest levels, in training.
    head
        What follows the last convolution: nothing, a sigmoid per channel, or a softmax over them.
    residual
        Add to each pair of convolutions a shortcut, a 1×1 convolution.
    attention
        Gate all skip connections but the finest; needs padding and a depth of 2.

    Raises
    ------
    ModelError
        Options that are unknown or do not go together.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, figure 1 (31,030,658 parameters for 1 → 2).
    Wu and He, Group normalization, ECCV 2018. He et al., CVPR 2016 (residual blocks). Oktay et al.,
    Attention U-Net, 2018.
    """
    _check(depth, width, norm, head)
    if attention and not (padded and depth > 1):
        raise ModelError(
            f"Attention gates need padded=True and depth ≥ 2, got padded={padded} and depth="
            f"{depth}: the finest skip connection has none. Change these, or leave the gates out."
        )
    sizes = level_widths(depth, width, max_width)
    return UNet(in_channels, out_channels, sizes, padded, norm, dropout, head, residual, attention)


def level_widths(depth: int, width: int, max_width: int | None) -> list[int]:
    """Channels of every level, the finest first."""
    return [min(width * 2**level, max_width or width * 2**level) for level in range(depth + 1)]


class UNet(nn.Module):
    """U-Net; tensors are (batch, channel, y, x), float."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        sizes: list[int],
        padded: bool,
        norm: Norm,
        dropout: float,
        head: Head,
        residual: bool,
        attention: bool,
    ) -> None:
        super().__init__()
        self.depth, self.padded, self.head = len(sizes) - 1, padded, head
        self.down = contracting_path(
            in_channels, sizes, norm, padded=padded, residual=residual, dropout=dropout
        )
        make = ResidualBlock if residual else double_conv
        steps = list(zip(sizes[:0:-1], sizes[-2::-1], strict=True))
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 2, stride=2), nn.ReLU()) for a, b in steps
        )
        self.merge = nn.ModuleList(make(2 * b, b, norm, padded=padded) for _, b in steps)
        self.last = nn.Conv2d(sizes[0], out_channels, 1)
        # The finest level says too little of what is where to be gated (Oktay et al., section 2).
        self.gates = nn.ModuleList(AttentionGate(b, a) for a, b in steps[:-1] if attention)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in_channels, y, x) to (b, out_channels, y', x')."""
        *skips, x = descend(self.down, x)
        for level, (up, merge) in enumerate(zip(self.up, self.merge, strict=True)):
            skip, below, x = skips.pop(), x, up(x)
            skip = skip if self.padded else centre_crop(skip, x)
            if level < len(self.gates):
                x, skip, weights = joined(x, skip, self.gates[level](skip, below))
                skip = skip * weights
            x = merge(torch.cat([x, skip], dim=1))
        return with_head(self.last(x), self.head)

    @property
    def margin(self) -> int:
        """Pixels lost on each side of an unpadded network; 0 with padding."""
        if self.padded:
            return 0
        lost: int = sum(4 * 2**level for level in range(self.depth)) + 2 * 2**self.depth
        return lost

    @property
    def residue(self) -> int:
        """Legal input sides are congruent to this modulo the stride ``2**depth``."""
        stride: int = 2**self.depth
        shrink = sum(4 * 2**level for level in range(self.depth))  # lost on the way down
        return 0 if self.padded else shrink % stride


def fold_batch_norm(state: dict[str, Tensor], eps: float = 1e-5) -> dict[str, Tensor]:
    """Turn the weights of a ``norm="batch"`` U-Net into those of an equal ``norm="none"`` one.

    In inference mode a batch normalisation is a fixed gain and offset per channel, which the
    convolution before it can carry: fewer passes over memory, the same numbers up to rounding.
    """
    folded = {}
    for key, value in state.items():
        block, _, name = key.rpartition(".")
        stem, _, index = block.rpartition(".")
        norm = f"{stem}.{int(index) + 1}" if index.isdigit() else ""
        if f"{norm}.running_var" in state and name == "weight" and value.ndim == 4:
            gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + eps)
            shift = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
            place = f"{stem}.{_place_without_norm(int(index))}"
            folded[f"{place}.weight"] = value * gain[:, None, None, None]
            folded[f"{place}.bias"] = shift
        elif f"{block}.running_var" not in state:
            folded[key] = value
    return folded


def _place_without_norm(index: int) -> int:
    return index // 3 * 2  # conv, norm, ReLU become conv, ReLU


def with_head(x: Tensor, head: Head) -> Tensor:
    """A network's last values (b, c, y, x), themselves or as probabilities."""
    if head == "sigmoid":
        return torch.sigmoid(x)
    return torch.softmax(x, dim=1) if head == "softmax" else x


def check_head(head: str) -> None:
    """Raise a `ModelError` that lists the heads there are, unless this is one of them."""
    if head not in get_args(Head):
        raise ModelError(f"Unknown head {head!r}: choose one of {', '.join(get_args(Head))}.")


def _check(depth: int, width: int, norm: str, head: str) -> None:
    if depth < 1 or width < 1:
        raise ModelError(f"A U-Net needs depth ≥ 1 and width ≥ 1, got {depth} and {width}.")
    check_norm(norm)
    check_head(head)
