"""A generator of any architecture on the reduced image, and enhancers that add the details.

Each step up or down is by exactly 2, so that tiles give what the whole image does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.fixed_size import fixed_parts
from napari_tincture.models.networks.laplacian_translator import double
from napari_tincture.models.networks.pix2pixhd import (
    block,
    down_layers,
    first_layers,
    last_layers,
    up_layers,
)
from napari_tincture.models.registry import build_network

SMALL = {
    "in_channels": 2, "out_channels": 3, "inner": "unet",
    "inner_options": {"width": 2, "depth": 1, "padded": True, "norm": "instance", "dropout": 0.0},
    "ngf": 2, "n_blocks_local": 1,
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 3,
    inner: str = "resnet_generator",
    inner_options: Mapping[str, Any] | None = None,
    ngf: int = 32,
    n_blocks_local: int = 3,
    levels: int = 1,
    noise: int = 0,
) -> CoarseToFine:
    """Build a generator from coarse to fine; sides are multiples of ``2**levels`` strides.

    Parameters
    ----------
    inner, inner_options
        Architecture of the generator that sees the reduced image, and its options but the
        channels.
    ngf
        Channels of the finest enhancer's first convolution; twice as many on each coarser level.
    n_blocks_local
        Residual blocks of each enhancer.
    levels
        How often the image is halved, 1 or 2; as many enhancers follow.
    noise
        Channels of noise after those of the image, whose spread is kept where they are reduced.

    References
    ----------
    Wang et al., pix2pixHD, CVPR 2018, section 3.2. There enhancers take features of the generator
    within; here its image, which every architecture gives, and to which they add.
    """
    if levels not in (1, 2) or ngf < 1 or min(n_blocks_local, noise) < 0 or noise >= in_channels:
        raise ModelError(
            "Expected 1 or 2 levels, ngf ≥ 1, no negative number of blocks and less noise than "
            f"in_channels, got {levels}, {ngf}, {n_blocks_local}, and {noise} of {in_channels}."
        )
    channels = {"in_channels": in_channels, "out_channels": out_channels}
    network = build_network(inner, {**(inner_options or {}), **channels})
    return CoarseToFine(network, in_channels, out_channels, ngf, n_blocks_local, levels, noise)


class CoarseToFine(nn.Module):
    """From (b, in_channels, y, x) to (b, out_channels, y, x), about [-1, 1]."""

    def __init__(
        self,
        inner: nn.Module,
        in_channels: int,
        out_channels: int,
        ngf: int,
        n_blocks_local: int,
        levels: int,
        noise: int,
    ) -> None:
        super().__init__()
        self.inner, self.levels, self.noise = inner, levels, noise
        self.enhancers = nn.ModuleList(
            Enhancer(in_channels, out_channels, ngf * 2**level, n_blocks_local)
            for level in reversed(range(levels))
        )
        for part in fixed_parts(inner):
            part.image_side *= 2**levels

    @property
    def extras(self) -> Mapping[str, int]:
        """Entries of `detailed` that are maps beside the image, and their channels."""
        found: Mapping[str, int] = getattr(self.inner, "extras", {})
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Translate an image."""
        return self._enhanced(x, lambda small: {"image": self.inner(small)})["image"]

    def detailed(self, x: Tensor) -> dict[str, Tensor]:
        """The image, and what the generator within knows of the reduced image.

        Returns
        -------
        dict
            "image" (b, out_channels, y, x), and the other entries of the inner generator's
            ``detailed``, whose maps are ``2**levels`` times as coarse as for the whole image.
        """
        return self._enhanced(x, self._inner_details)

    def halved(self, x: Tensor) -> Tensor:
        """An image (b, in_channels, y, x) at half its sides, by averaging; noise has its spread."""
        small = functional.avg_pool2d(x, 2)
        if not self.noise:
            return small
        # The mean of four draws spreads half as much as one.
        return torch.cat([small[:, : -self.noise], 2 * small[:, -self.noise :]], 1)

    def begin_coarse(self) -> None:
        """Let enhancers add nothing until they have learned."""
        for enhancer in self.enhancers:
            last = [layer for layer in enhancer.modules() if isinstance(layer, nn.Conv2d)][-1]
            for weight in last.parameters():
                nn.init.zeros_(weight)

    def _inner_details(self, x: Tensor) -> dict[str, Tensor]:
        if not hasattr(self.inner, "detailed"):
            return {"image": self.inner(x)}
        found: dict[str, Tensor] = self.inner.detailed(x)  # type: ignore[operator]
        return found

    def _enhanced(
        self, x: Tensor, inner: Callable[[Tensor], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        images = [x]
        for _ in range(self.levels):
            images.append(self.halved(images[-1]))
        found = inner(images.pop())
        image = found["image"]
        for enhancer in self.enhancers:
            image = enhancer(images.pop(), double(image))
        return {**found, "image": image}


class Enhancer(nn.Module):
    """Adds to a coarse result (b, out_channels, y, x) what the image at that size tells."""

    def __init__(self, in_channels: int, out_channels: int, ngf: int, n_blocks: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *first_layers(in_channels + out_channels, ngf, "instance"),
            *down_layers(ngf, 2 * ngf, "instance"),
            *(block(2 * ngf, "instance") for _ in range(n_blocks)),
            *up_layers(2 * ngf, ngf, "instance"),
            *last_layers(ngf, out_channels),
        )

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        """Sharpen a result."""
        result: Tensor = coarse + self.model(torch.cat([x, coarse], 1))
        return result
