"""The U-Net of 2015, and the padded, batch-normalised variants that followed it."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_tincture.errors import ModelError

Norm = Literal["none", "batch", "instance"]
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
        Normalisation after each 3×3 convolution.
    dropout
        Probability of dropping a channel's value after the two deepest levels, in training.
    head
        What follows the last convolution: nothing, a sigmoid per channel, or a softmax over them.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, figure 1 (31,030,658 parameters for 1 → 2).
    """
    return UNet(in_channels, out_channels, depth, width, max_width, padded, norm, dropout, head)


class UNet(nn.Module):
    """U-Net; tensors are (batch, channel, y, x), float."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        depth: int,
        width: int,
        max_width: int | None,
        padded: bool,
        norm: Norm,
        dropout: float,
        head: Head,
    ) -> None:
        super().__init__()
        _check(depth, width, norm, head)
        self.depth, self.padded, self.head = depth, padded, head
        sizes = [min(width * 2**level, max_width or width * 2**level) for level in range(depth + 1)]
        drops = [dropout if level >= depth - 1 else 0.0 for level in range(depth + 1)]
        inputs = [in_channels, *sizes[:-1]]
        self.down = nn.ModuleList(
            _double_conv(a, b, padded, norm, p)
            for a, b, p in zip(inputs, sizes, drops, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        steps = list(zip(sizes[:0:-1], sizes[-2::-1], strict=True))
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 2, stride=2), nn.ReLU()) for a, b in steps
        )
        self.merge = nn.ModuleList(_double_conv(2 * b, b, padded, norm, 0.0) for _, b in steps)
        self.last = nn.Conv2d(sizes[0], out_channels, 1)
        self.apply(_init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in_channels, y, x) to (b, out_channels, y', x')."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)
            skip = skips.pop() if self.padded else _centre_crop(skips.pop(), x)
            x = merge(torch.cat([x, skip], dim=1))
        x = self.last(x)
        if self.head == "sigmoid":
            return torch.sigmoid(x)
        return torch.softmax(x, dim=1) if self.head == "softmax" else x

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


def _double_conv(a: int, b: int, padded: bool, norm: Norm, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (a, b):
        layers.append(nn.Conv2d(channels, b, 3, padding=1 if padded else 0, bias=norm != "batch"))
        if norm == "batch":
            layers.append(nn.BatchNorm2d(b))
        elif norm == "instance":
            layers.append(nn.InstanceNorm2d(b))
        layers.append(nn.ReLU())
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _centre_crop(skip: Tensor, like: Tensor) -> Tensor:
    top = (skip.shape[2] - like.shape[2]) // 2
    left = (skip.shape[3] - like.shape[3]) // 2
    return skip[:, :, top : top + like.shape[2], left : left + like.shape[3]]


def _init_weights(module: nn.Module) -> None:
    # Standard deviation sqrt(2 / N) with N the inputs of a neuron, as in the paper's section 3.
    if isinstance(module, nn.Conv2d) and module.weight.device.type != "meta":
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check(depth: int, width: int, norm: Any, head: Any) -> None:
    if depth < 1 or width < 1:
        raise ModelError(f"A U-Net needs depth ≥ 1 and width ≥ 1, got {depth} and {width}.")
    if norm not in ("none", "batch", "instance"):
        raise ModelError(f"Unknown norm {norm!r}: choose 'none', 'batch' or 'instance'.")
    if head not in ("none", "sigmoid", "softmax"):
        raise ModelError(f"Unknown head {head!r}: choose 'none', 'sigmoid' or 'softmax'.")
