"""pix2pixHD's generators: a global one, and enhancers that add detail to its features.

Keys of the state dict are those of the published implementation, whose checkpoints load as
they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.resnet_generator import ResnetBlock, make_norm

Norm = Literal["instance", "batch"]

SMALL = {
    "in_channels": 2, "out_channels": 3, "ngf": 2,
    "n_downsample_global": 1, "n_blocks_global": 1, "n_blocks_local": 1,
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 36,
    out_channels: int = 3,
    ngf: int = 64,
    n_downsample_global: int = 4,
    n_blocks_global: int = 9,
    netG: Literal["global", "local"] = "global",  # noqa: N803 - the published name
    n_local_enhancers: int = 1,
    n_blocks_local: int = 3,
    norm: Norm = "instance",
) -> GlobalGenerator | LocalEnhancer:
    """Build the global generator, or, with ``netG="local"``, the one with local enhancers.

    Sides are multiples of ``2**n_downsample_global``, times ``2**n_local_enhancers`` for the
    latter.

    Parameters
    ----------
    in_channels
        One-hot labels, 1 for the edges of instances, and the features of an encoder, if any.
    ngf
        Channels of the first convolution at full resolution; 32 in published local enhancers.

    References
    ----------
    Wang et al., High-resolution image synthesis and semantic manipulation with conditional
    GANs, CVPR 2018, section 3.2 (182,546,755 parameters of the global generator for 36 channels).
    """
    numbers = ngf, n_downsample_global, n_blocks_global + 1, n_local_enhancers, n_blocks_local + 1
    if min(numbers) < 1 or norm not in ("instance", "batch"):
        raise ModelError(
            "Expected ngf, n_downsample_global and n_local_enhancers ≥ 1, no negative number of "
            f"blocks and norm 'instance' or 'batch', got {numbers[:2]}, {n_local_enhancers}, "
            f"{n_blocks_global}, {n_blocks_local} and {norm!r}."
        )
    shape = (n_downsample_global, n_blocks_global)
    if netG == "global":
        return GlobalGenerator(in_channels, out_channels, ngf, *shape, norm)
    if netG == "local":
        enhancers = (n_local_enhancers, n_blocks_local)
        return LocalEnhancer(in_channels, out_channels, ngf, *shape, *enhancers, norm)
    raise ModelError(f"Unknown netG {netG!r}: choose 'global' or 'local'.")


class GlobalGenerator(nn.Module):
    """From (b, in_channels, y, x) to (b, out_channels, y, x) in [-1, 1]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ngf: int,
        n_downsample_global: int,
        n_blocks_global: int,
        norm: Norm,
        *,
        activated: bool = False,
    ) -> None:
        super().__init__()
        middle = [
            block(ngf * 2**n_downsample_global, norm, activated) for _ in range(n_blocks_global)
        ]
        layers = hourglass(in_channels, ngf, n_downsample_global, middle, norm)
        self.model = nn.Sequential(*layers, *last_layers(ngf, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Translate an image."""
        result: Tensor = self.model(x)
        return result


class LocalEnhancer(nn.Module):
    """From (b, in_channels, y, x) to (b, out_channels, y, x) in [-1, 1], coarse to fine.

    The global generator's features of the reduced image are added to those that each enhancer
    makes of an image twice as large.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ngf: int,
        n_downsample_global: int,
        n_blocks_global: int,
        n_local_enhancers: int,
        n_blocks_local: int,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.enhancers = n_local_enhancers
        width = ngf * 2**n_local_enhancers
        middle = [block(width * 2**n_downsample_global, norm) for _ in range(n_blocks_global)]
        layers = hourglass(in_channels, width, n_downsample_global, middle, norm)
        self.model = nn.Sequential(*layers)
        for number in range(1, n_local_enhancers + 1):
            width //= 2
            middle = [block(2 * width, norm) for _ in range(n_blocks_local)]
            down, up = first_layers(in_channels, width, norm), up_layers(2 * width, width, norm)
            down += down_layers(width, 2 * width, norm)
            ends = last_layers(ngf, out_channels) if number == n_local_enhancers else []
            self.add_module(f"model{number}_1", nn.Sequential(*down))
            self.add_module(f"model{number}_2", nn.Sequential(*middle, *up, *ends))
        self.downsample = half()

    def forward(self, x: Tensor) -> Tensor:
        """Translate an image."""
        images = [x]
        for _ in range(self.enhancers):
            images.append(self.downsample(images[-1]))
        features: Tensor = self.model(images.pop())
        for number in range(1, self.enhancers + 1):
            own = self.get_submodule(f"model{number}_1")(images.pop())
            features = self.get_submodule(f"model{number}_2")(own + features)
        return features

    def finest(self) -> Iterator[nn.Parameter]:
        """Weights of the last enhancer, which learns alone before all learn together (§3.2)."""
        for part in (1, 2):
            yield from self.get_submodule(f"model{self.enhancers}_{part}").parameters()


def half() -> nn.Module:
    """The reduction to half the sides, (b, c, y, x) to (b, c, y/2, x/2) rounded up."""
    return nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)


def block(channels: int, norm: Norm, activated: bool = False) -> ResnetBlock:
    """A residual block whose convolutions have biases whatever the norm."""
    return ResnetBlock(channels, norm, False, "reflect", bias=True, activated=activated)


def hourglass(
    in_channels: int, ngf: int, downsamplings: int, middle: list[ResnetBlock], norm: Norm
) -> list[nn.Module]:
    """Layers from an image to as large a map of `ngf` features, through a reduced one."""
    layers = first_layers(in_channels, ngf, norm)
    widths = [ngf * 2**level for level in range(downsamplings + 1)]
    for a, b in pairwise(widths):
        layers += down_layers(a, b, norm)
    layers += middle
    for a, b in pairwise(reversed(widths)):
        layers += up_layers(a, b, norm)
    return layers


def first_layers(a: int, b: int, norm: Norm) -> list[nn.Module]:
    """Layers that look at an image."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(a, b, 7), make_norm(norm, b), nn.ReLU()]


def down_layers(a: int, b: int, norm: Norm) -> list[nn.Module]:
    """Layers that halve the sides."""
    return [nn.Conv2d(a, b, 3, stride=2, padding=1), make_norm(norm, b), nn.ReLU()]


def up_layers(a: int, b: int, norm: Norm) -> list[nn.Module]:
    """Layers that double the sides."""
    up = nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1)
    return [up, make_norm(norm, b), nn.ReLU()]


def last_layers(a: int, b: int) -> list[nn.Module]:
    """Layers that make an image of features."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(a, b, 7), nn.Tanh()]
