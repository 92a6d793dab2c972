"""Maps of half and twice the sides, in the middle of a network."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Change = Literal["", "down", "up"]


class Upsample(nn.Module):
    """Every pixel four times, and a 3×3 convolution: (b, c, y, x) to (b, c, 2y, 2x)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Double the sides."""
        result: Tensor = self.conv(resized(x, "up"))
        return result


class Downsample(nn.Module):
    """A 3×3 convolution at every second pixel: (b, c, 2y, 2x) to (b, c, y, x)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the sides."""
        result: Tensor = self.conv(x)
        return result


def resized(x: Tensor, change: Change) -> Tensor:
    """Means of 2×2 pixels ("down"), or every pixel four times ("up"), or the map as it is."""
    if change == "down":
        return functional.avg_pool2d(x, 2)
    return functional.interpolate(x, scale_factor=2, mode="nearest") if change == "up" else x
