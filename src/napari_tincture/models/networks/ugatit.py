"""U-GAT-IT's generator: class-activation attention and adaptive layer-instance norm.

Keys of the state dict are those of the published PyTorch implementation, whose checkpoints load
as they are. The TensorFlow original is another network.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.class_activation import attended, class_logits, heatmap_of
from napari_tincture.models.layers.fixed_size import FixedSize
from napari_tincture.models.layers.layer_instance_norm import (
    AdaptiveLayerInstanceNorm,
    LayerInstanceNorm,
)
from napari_tincture.models.networks.resnet_generator import ResnetBlock

STRIDE = 4
"""Two halvings; sides of the image are multiples of it."""
SMALL = {
    "in_channels": 2, "out_channels": 3, "ch": 2, "n_res": 1, "img_size": 32, "light": True,
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 3,
    out_channels: int = 3,
    ch: int = 64,
    n_res: int = 4,
    img_size: int = 256,
    light: bool = False,
) -> UgatitGenerator:
    """Build the full generator, for one image size, or the light one, for any.

    Parameters
    ----------
    ch
        Channels of the first convolution; four times as many in the residual blocks.
    n_res
        Residual blocks of the encoder, and as many of the decoder.
    img_size
        Side in pixels of the full generator's images, a multiple of 4; the light one ignores it.
    light
        γ and β of the decoder follow from average-pooled features, not from the flattened map.

    References
    ----------
    Kim et al., U-GAT-IT, ICLR 2020, arXiv 1907.10830 (278,959,808 parameters full, 10,589,888
    light).
    """
    return UgatitGenerator(in_channels, out_channels, ch, n_res, img_size, light)


class UgatitGenerator(nn.Module):
    """From (b, in_channels, y, x) to (b, out_channels, y, x) in [-1, 1]."""

    extras: ClassVar[dict[str, int]] = {"heatmap": 1}
    """Entries of `detailed` that are maps beside the image, and their channels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ch: int,
        n_res: int,
        img_size: int,
        light: bool,
    ) -> None:
        super().__init__()
        if ch < 1 or n_res < 0 or img_size < STRIDE or img_size % STRIDE:
            raise ModelError(
                f"Expected ch ≥ 1, n_res ≥ 0 and img_size a multiple of {STRIDE}, "
                f"got {ch}, {n_res} and {img_size}."
            )
        width = ch * STRIDE
        self.DownBlock = _encoder(in_channels, ch, n_res)
        self.gap_fc = nn.Linear(width, 1, bias=False)
        self.gmp_fc = nn.Linear(width, 1, bias=False)
        self.conv1x1 = nn.Conv2d(2 * width, width, 1)
        self.FC = _style(width, None if light else img_size)
        self.gamma = nn.Linear(width, width, bias=False)
        self.beta = nn.Linear(width, width, bias=False)
        self.n_res = n_res
        for number in range(1, n_res + 1):
            self.add_module(f"UpBlock1_{number}", AdaptiveBlock(width))
        self.UpBlock2 = _decoder(out_channels, ch)

    def forward(self, x: Tensor) -> Tensor:
        """Translate an image."""
        return self._drawn(self._attended(self.DownBlock(x)))

    def detailed(self, x: Tensor) -> dict[str, Tensor]:
        """The image and what the network knows beside it.

        Returns
        -------
        dict
            "image" (b, out_channels, y, x); "heatmap" (b, 1, y/4, x/4), not negative, what the
            network attends to; "cam_logit" (b, 2), how much the input looks like the source
            domain, by average and by max pooling.
        """
        features = self.DownBlock(x)
        seen = self._attended(features)
        return {
            "image": self._drawn(seen),
            "heatmap": heatmap_of(seen),
            "cam_logit": class_logits(features, self.gap_fc, self.gmp_fc),
        }

    def _attended(self, features: Tensor) -> Tensor:
        weights = self.gap_fc.weight, self.gmp_fc.weight
        return functional.relu(attended(features, *weights, self.conv1x1))

    def _drawn(self, seen: Tensor) -> Tensor:
        style = self.FC(seen)
        gamma, beta = self.gamma(style), self.beta(style)
        for number in range(1, self.n_res + 1):
            seen = self.get_submodule(f"UpBlock1_{number}")(seen, gamma, beta)
        result: Tensor = self.UpBlock2(seen)
        return result


class AdaptiveBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), all norms with the image's own γ and β."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.conv1 = nn.Conv2d(channels, channels, 3, bias=False)
        self.norm1 = AdaptiveLayerInstanceNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, bias=False)
        self.norm2 = AdaptiveLayerInstanceNorm(channels)

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """Add the block's correction to (b, c, y, x); `gamma` and `beta` are (b, c)."""
        inner = functional.relu(self.norm1(self.conv1(self.pad(x)), gamma, beta))
        result: Tensor = x + self.norm2(self.conv2(self.pad(inner)), gamma, beta)
        return result


class PooledStyle(nn.Sequential):
    """Layers on average-pooled features: (b, c, y, x) of any size to (b, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """Describe an image."""
        result: Tensor = super().forward(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return result


def _style(width: int, img_size: int | None) -> nn.Sequential:
    side = 1 if img_size is None else img_size // STRIDE
    layers = (
        nn.Linear(side * side * width, width, bias=False),
        nn.ReLU(),
        nn.Linear(width, width, bias=False),
        nn.ReLU(),
    )
    return PooledStyle(*layers) if img_size is None else FixedSize(side, img_size, width, *layers)


def _encoder(in_channels: int, ch: int, n_res: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, ch, 7, bias=False)]
    layers += [nn.InstanceNorm2d(ch), nn.ReLU()]
    for width in (ch, 2 * ch):
        convolution = nn.Conv2d(width, 2 * width, 3, stride=2, bias=False)
        layers += [nn.ReflectionPad2d(1), convolution, nn.InstanceNorm2d(2 * width), nn.ReLU()]
    return nn.Sequential(*layers, *(EncoderBlock(4 * ch) for _ in range(n_res)))


class EncoderBlock(ResnetBlock):
    """A residual block of the ResNet generator, without the biases that its norms undo."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, "instance", dropout=False, padding="reflect")
        for layer in self.conv_block:
            if isinstance(layer, nn.Conv2d):
                layer.register_parameter("bias", None)


def _decoder(out_channels: int, ch: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (4 * ch, 2 * ch):
        layers += [
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width // 2, 3, bias=False),
            LayerInstanceNorm(width // 2),
            nn.ReLU(),
        ]
    last = nn.Conv2d(ch, out_channels, 7, bias=False)
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), last, nn.Tanh())
