"""pix2pix's generator: a U-Net of strided 4×4 convolutions.

Keys of the state dict are those of the published implementation, whose checkpoints load as
they are.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.resnet_generator import make_norm

Norm = Literal["batch", "instance", "none"]

SMALL = {"in_channels": 2, "out_channels": 3, "num_downs": 5, "ngf": 2}
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 3,
    num_downs: int = 8,
    ngf: int = 64,
    norm: Norm = "batch",
    dropout: bool = True,
    batch_statistics: bool = False,
) -> UnetGenerator:
    """Build ``unet_256`` (the default) or, with ``num_downs=7``, ``unet_128``.

    Parameters
    ----------
    num_downs
        How often the image is halved; sides are multiples of ``2**num_downs``.
    ngf
        Channels of the first level; at most eight times as many in the deepest.
    norm
        ``"none"`` gives convolutions without bias, as the published code does.
    dropout
        Half of the values dropped in the deepest middle levels, in training.
    batch_statistics
        Batch norm takes its statistics from the image, as in the published test, instead of
        the running averages.

    References
    ----------
    Isola et al., pix2pix, CVPR 2017 (54,413,955 parameters for ``unet_256``).
    """
    return UnetGenerator(in_channels, out_channels, num_downs, ngf, norm, dropout, batch_statistics)


class UnetGenerator(nn.Module):
    """From (b, in_channels, y, x) to (b, out_channels, y, x) in [-1, 1]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_downs: int,
        ngf: int,
        norm: Norm,
        dropout: bool,
        batch_statistics: bool,
    ) -> None:
        super().__init__()
        if num_downs < 5 or ngf < 1:
            raise ModelError(f"Expected num_downs ≥ 5 and ngf ≥ 1, got {num_downs} and {ngf}.")
        settings = (norm, batch_statistics)
        block = SkipBlock(ngf * 8, ngf * 8, None, *settings)
        for _ in range(num_downs - 5):
            block = SkipBlock(ngf * 8, ngf * 8, block, *settings, dropout=dropout)
        for times in (4, 2, 1):
            block = SkipBlock(ngf * times, ngf * times * 2, block, *settings)
        self.model = OuterBlock(in_channels, out_channels, ngf, block, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Translate an image."""
        result: Tensor = self.model(x)
        return result


class SkipBlock(nn.Module):
    """One level: halve, run the deeper level, double, and join with what came in.

    What is joined is the input *after* the leaky ReLU: the published code applies it in place.
    """

    def __init__(
        self,
        outer: int,
        inner: int,
        deeper: SkipBlock | None,
        norm: Norm,
        batch_statistics: bool,
        dropout: bool = False,
    ) -> None:
        super().__init__()
        bias = norm == "instance"
        layers: list[nn.Module] = [
            nn.LeakyReLU(0.2),
            nn.Conv2d(outer, inner, 4, stride=2, padding=1, bias=bias),
        ]
        if deeper is not None:
            layers += [_norm(norm, inner, batch_statistics), deeper]
        joined = inner if deeper is None else 2 * inner
        layers += [
            nn.ReLU(),
            nn.ConvTranspose2d(joined, outer, 4, stride=2, padding=1, bias=bias),
            _norm(norm, outer, batch_statistics),
        ]
        layers += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """From (b, outer, y, x) to (b, 2 · outer, y, x)."""
        activated = self.model[0](x)
        return torch.cat([activated, self.model[1:](activated)], dim=1)


class OuterBlock(nn.Module):
    """The outermost level: no normalisation, no skip, tanh at the end."""

    def __init__(
        self, in_channels: int, out_channels: int, ngf: int, deeper: SkipBlock, norm: Norm
    ) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(in_channels, ngf, 4, stride=2, padding=1, bias=norm == "instance"),
            deeper,
            nn.ReLU(),
            nn.ConvTranspose2d(2 * ngf, out_channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """From the image to the result."""
        result: Tensor = self.model(x)
        return result


class ImageStatisticsNorm(nn.BatchNorm2d):
    """Batch norm that always takes its statistics from the tensor it is given."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over batch, y and x; the running averages are neither used nor changed."""
        return functional.batch_norm(
            x, None, None, self.weight, self.bias, training=True, eps=self.eps
        )


def _norm(norm: Norm, channels: int, batch_statistics: bool) -> nn.Module:
    if norm == "batch" and batch_statistics:
        return ImageStatisticsNorm(channels)
    return make_norm(norm, channels)
