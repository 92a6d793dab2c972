"""AttentionGAN's generator: contents, masks that choose among them, and the input as background.

Keys of the state dict are those of the published implementations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.networks.resnet_generator import InstanceNorm, ResnetBlock

Version = Literal["v2", "geo", "v1"]
MASKS = 10

SMALL = {"in_channels": 2, "out_channels": 2, "ngf": 2, "n_blocks": 1}
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 3,
    ngf: int = 64,
    n_blocks: int = 9,
    version: Version = "v2",
    bias: bool = True,
) -> nn.Module:
    """Build the generator of one of the three published versions; sides are multiples of 4.

    Parameters
    ----------
    out_channels
        ``"v2"`` and ``"v1"`` mix the input into the result: as many as `in_channels`.
    ngf
        Channels of the first convolution; four times as many in the residual blocks.
    n_blocks
        Number of residual blocks.
    version
        ``"v2"``: 9 contents in [-1, 1] and the input, weighted by a softmax over 10 masks.
        ``"geo"``: 10 contents and no input. ``"v1"``: one content, unbounded, and the input,
        weighted by one sigmoid mask; batch norm instead of instance norm, sides doubled by
        shuffling pixels, 6 blocks as published.
    bias
        Whether convolutions before a norm have a bias.

    References
    ----------
    ``"v2"``, ``"geo"``: Tang et al., AttentionGAN, IEEE TNNLS 2021, equations 3 to 5 (11,822,949
    parameters for ``"v2"``). ``"v1"``: Tang et al., Attention-guided generative adversarial
    networks for unsupervised image-to-image translation, IJCNN 2019, equation 2.
    """
    if version not in ("v2", "geo", "v1"):
        raise ModelError(f"Unknown version {version!r}: choose 'v2', 'geo' or 'v1'.")
    if ngf < 1 or n_blocks < 0:
        raise ModelError(f"Expected ngf ≥ 1 and n_blocks ≥ 0, got {ngf} and {n_blocks}.")
    if version != "geo" and in_channels != out_channels:
        raise ModelError(
            f"Version {version!r} mixes its input into the result and needs as many output as "
            f"input channels, got {in_channels} and {out_channels}; choose version 'geo'."
        )
    if version == "v1":
        return SingleMaskGenerator(in_channels, ngf, n_blocks, bias)
    return MaskedGenerator(in_channels, out_channels, ngf, n_blocks, version == "v2", bias)


class MaskedGenerator(nn.Module):
    """From (b, in_channels, y, x) to (b, out_channels, y, x) in [-1, 1].

    Attributes
    ----------
    extras
        Channels of what `detailed` gives beside the image.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ngf: int,
        n_blocks: int,
        background: bool,
        bias: bool,
    ) -> None:
        super().__init__()
        contents = (MASKS - 1 if background else MASKS) * out_channels
        self.out_channels, self.background = out_channels, background
        self.extras: Mapping[str, int] = {"attention": MASKS, "content": contents}
        self.conv1 = nn.Conv2d(in_channels, ngf, 7, bias=bias)
        self.conv2 = nn.Conv2d(ngf, 2 * ngf, 3, stride=2, padding=1, bias=bias)
        self.conv3 = nn.Conv2d(2 * ngf, 4 * ngf, 3, stride=2, padding=1, bias=bias)
        self.resnet_blocks = nn.ModuleList(MaskedBlock(4 * ngf, bias) for _ in range(n_blocks))
        self.deconv1_content = _doubling(4 * ngf, 2 * ngf, bias)
        self.deconv2_content = _doubling(2 * ngf, ngf, bias)
        self.deconv3_content = nn.Conv2d(ngf, contents, 7)
        self.deconv1_attention = _doubling(4 * ngf, 2 * ngf, bias)
        self.deconv2_attention = _doubling(2 * ngf, ngf, bias)
        self.deconv3_attention = nn.Conv2d(ngf, MASKS, 1)
        # Without weights, so that one serves all layers of a width.
        self.norm1, self.norm2, self.norm3 = (InstanceNorm(ngf * k) for k in (1, 2, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Translate an image."""
        return self.detailed(x)["image"]

    def detailed(self, x: Tensor) -> dict[str, Tensor]:
        """Translate an image and tell how: masks that sum to one, and contents in [-1, 1].

        Returns
        -------
        dict
            "image"; "attention" (b, 10, y, x), with the input's mask last where there is one;
            "content" (b, 9 or 10 times out_channels, y, x).
        """
        deep = torch.relu(self.norm1(self.conv1(_mirrored(x, 3))))
        deep = torch.relu(self.norm2(self.conv2(deep)))
        deep = torch.relu(self.norm3(self.conv3(deep)))
        for block in self.resnet_blocks:
            deep = block(deep)
        content = torch.relu(self.norm2(self.deconv1_content(deep)))
        content = torch.relu(self.norm1(self.deconv2_content(content)))
        content = torch.tanh(self.deconv3_content(_mirrored(content, 3)))
        masks = torch.relu(self.norm2(self.deconv1_attention(deep)))
        masks = torch.relu(self.norm1(self.deconv2_attention(masks)))
        masks = torch.softmax(self.deconv3_attention(masks), dim=1)
        return {"image": self._mix(x, masks, content), "attention": masks, "content": content}

    def _mix(self, x: Tensor, masks: Tensor, content: Tensor) -> Tensor:
        layers = [*content.split(self.out_channels, dim=1), *([x] if self.background else [])]
        image: Tensor = masks[:, :1] * layers[0]
        for index, layer in enumerate(layers[1:], start=1):
            image = torch.addcmul(image, masks[:, index : index + 1], layer)
        return image


class MaskedBlock(nn.Module):
    """x + conv(relu(conv(x))), normalised, without an activation after the sum."""

    def __init__(self, channels: int, bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, bias=bias)
        self.conv2 = nn.Conv2d(channels, channels, 3, bias=bias)
        self.norm = InstanceNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's correction."""
        inner = torch.relu(self.norm(self.conv1(_mirrored(x, 1))))
        result: Tensor = x + self.norm(self.conv2(_mirrored(inner, 1)))
        return result


class SingleMaskGenerator(nn.Module):
    """From (b, channels, y, x) to as many channels: the input where the mask is 0.

    Attributes
    ----------
    extras
        Channels of what `detailed` gives beside the image.
    """

    def __init__(self, channels: int, ngf: int, n_blocks: int, bias: bool) -> None:
        super().__init__()
        self.extras: Mapping[str, int] = {"attention": 1, "content": channels}
        self.model = nn.Sequential(*_single_mask_layers(channels, ngf, n_blocks, bias))

    def forward(self, x: Tensor) -> Tensor:
        """Translate an image."""
        return self.detailed(x)["image"]

    def detailed(self, x: Tensor) -> dict[str, Tensor]:
        """Translate an image and tell how: the mask in [0, 1], and the unbounded content.

        Returns
        -------
        dict
            "image"; "attention" (b, 1, y, x); "content" (b, channels, y, x).
        """
        result = self.model(x)
        mask, content = torch.sigmoid(result[:, :1]), result[:, 1:]
        image = content * mask + x * (1 - mask)
        return {"image": image, "attention": mask, "content": content}


def _doubling(a: int, b: int, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1, bias=bias)


def _mirrored(x: Tensor, width: int) -> Tensor:
    return functional.pad(x, (width, width, width, width), mode="reflect")


def _single_mask_layers(channels: int, ngf: int, n_blocks: int, bias: bool) -> list[nn.Module]:
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(channels, ngf, 7, bias=bias), *_batch_norm(ngf)]
    for width in (ngf, 2 * ngf):
        half = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=bias)
        layers += [half, *_batch_norm(2 * width)]
    layers += [ResnetBlock(4 * ngf, "batch", False, "reflect", bias=bias) for _ in range(n_blocks)]
    for width in (2 * ngf, ngf):
        narrow = nn.Conv2d(2 * width, width, 3, bias=bias)
        layers += [nn.ReflectionPad2d(1), narrow, *_batch_norm(width)]
        layers += [nn.Conv2d(width, 4 * width, 1, bias=bias), nn.PixelShuffle(2)]
        layers += _batch_norm(width)
    return [*layers, nn.ReflectionPad2d(3), nn.Conv2d(ngf, 1 + channels, 7)]


def _batch_norm(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]
