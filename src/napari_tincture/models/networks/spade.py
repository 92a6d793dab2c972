"""SPADE's generator: an image of a label map, which speaks at every scale of the network.

Keys of the state dict are those of the published implementation, whose checkpoints load as
they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.layers.spade_norm import Norm, SpadeNorm, shrunk
from napari_tincture.models.layers.spectral_norm import plain_or_spectral

Upsampling = Literal["normal", "more", "most"]
DOUBLINGS = {"normal": 5, "more": 6, "most": 7}
"""How often the first map's sides are doubled."""
WIDEST = 16
"""Channels of the first map, in `ngf`."""
SHARES = {
    "head_0": 1, "G_middle_0": 1, "G_middle_1": 1,
    "up_0": 2, "up_1": 4, "up_2": 8, "up_3": 16, "up_4": 32,
}  # fmt: skip
"""Blocks in order, and which share of the first map's channels each gives."""
SLOPE = 0.2
"""Of the leaky ReLUs below 0."""

SMALL = {"in_channels": 2, "out_channels": 3, "ngf": 2, "hidden": 2, "crop_size": 64, "z_dim": 3}
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 36,
    out_channels: int = 3,
    ngf: int = 64,
    num_upsampling_layers: Upsampling = "normal",
    norm: Norm = "batch",
    kernel: int = 3,
    hidden: int = 128,
    spectral: bool = True,
    use_vae: bool = False,
    z_dim: int = 256,
    crop_size: int = 256,
    aspect_ratio: float = 1.0,
) -> SpadeGenerator:
    """Build SPADE's generator; sides are multiples of its stride, 32, 64 or 128.

    Parameters
    ----------
    in_channels
        One-hot classes, among them one for "don't care" if there is, and 1 for the edges of
        instances.
    ngf
        Channels of the last block; 16 times as many in the first ones.
    num_upsampling_layers
        "normal", "more" or "most": 5, 6 or 7 doublings from the first map to the image.
    norm
        What the label map modulates: batch norm ("spadesyncbatch" as published) or instance norm.
    kernel, hidden
        Side of the modulating convolutions' kernels, and channels between them.
    spectral
        Whether convolutions of the features have spectral norm.
    use_vae, z_dim
        Begin with a style vector of so many numbers instead of the label map.
    crop_size, aspect_ratio
        Width in pixels of the images that a style's map was learned for, and how many times as
        wide as high they are. Nothing else depends on them.

    References
    ----------
    Park et al., Semantic image synthesis with spatially-adaptive normalization, CVPR 2019,
    appendix A (96,492,483 parameters for the 151 classes of ADE20K).
    """
    if min(in_channels, out_channels, ngf, hidden, z_dim) < 1 or kernel < 1 or not kernel % 2:
        raise ModelError(
            "Expected channels, ngf, hidden and z_dim ≥ 1 and an odd kernel, got "
            f"{in_channels}, {out_channels}, {ngf}, {hidden}, {z_dim} and {kernel}."
        )
    if num_upsampling_layers not in DOUBLINGS or norm not in ("batch", "instance"):
        raise ModelError(
            f"Expected num_upsampling_layers {', '.join(DOUBLINGS)} and norm 'batch' or "
            f"'instance', got {num_upsampling_layers!r} and {norm!r}."
        )
    block = partial(
        SpadeBlock, classes=in_channels, hidden=hidden, kernel=kernel, norm=norm, spectral=spectral
    )
    doublings = DOUBLINGS[num_upsampling_layers]
    if num_upsampling_layers == "most" and ngf < 2:
        raise ModelError("Expected ngf ≥ 2 for num_upsampling_layers 'most', got 1.")
    if not use_vae:
        return SpadeGenerator(in_channels, out_channels, ngf, doublings, block)
    first = FirstMap(z_dim, WIDEST * ngf, *first_size(doublings, crop_size, aspect_ratio))
    return SpadeGenerator(in_channels, out_channels, ngf, doublings, block, first)


def first_size(doublings: int, crop_size: int, aspect_ratio: float) -> tuple[int, int]:
    """Height and width of the first map at the published size of images."""
    width = crop_size >> doublings
    height = round(width / aspect_ratio) if aspect_ratio > 0 else 0
    if height < 1 or width < 1:
        raise ModelError(
            f"A style's map of {height} × {width} pixels is none: crop_size {crop_size}, "
            f"aspect_ratio {aspect_ratio}. Expected a crop_size of at least {2**doublings}."
        )
    return height, width


class SpadeGenerator(nn.Module):
    """From one-hot labels (b, in_channels, y, x) to (b, out_channels, y, x) in [-1, 1].

    Without a style the first map is made of the label map, reduced by the stride: images of any
    size, and tiles give what the whole image gives.

    A network that takes a style begins with a map made of that alone, by a layer that knows one
    size only. At that size it is the published network if it is called with `z`. Everywhere else,
    and for tiles, whose place in the image it cannot know, every pixel begins with the mean over
    that map: a style is then a property of the image, not of places in it. Networks whose first
    map has one pixel (``crop_size`` equal to the stride) are the same either way. Instance norm
    takes away what is the same everywhere: with it, a spread style has no effect.

    Attributes
    ----------
    style
        (1, z_dim) that is used where none is given; None: zeros, the middle of all styles.
        It is not among the weights. In training every image has a style of its own, drawn from
        torch's generator, where none is given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ngf: int,
        doublings: int,
        block: Callable[[int, int], SpadeBlock],
        first: FirstMap | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.stride = in_channels, 2**doublings
        self.style: Tensor | None = None
        width = inputs = WIDEST * ngf
        self.fc = nn.Conv2d(in_channels, width, 3, padding=1) if first is None else first
        self._doubled: dict[str, bool] = {}
        for name, share in SHARES.items():
            if name == "up_4" and doublings < DOUBLINGS["most"]:
                continue
            self.add_module(name, block(inputs, width // share))
            twice = doublings > DOUBLINGS["normal"] if name == "G_middle_1" else name != "head_0"
            self._doubled[name], inputs = twice, width // share
        self.conv_img = nn.Conv2d(inputs, out_channels, 3, padding=1)

    @property
    def z_dim(self) -> int | None:
        """Length of a style; None for a network that takes none."""
        return self.fc.z_dim if isinstance(self.fc, FirstMap) else None

    def forward(self, classes: Tensor, z: Tensor | None = None) -> Tensor:
        """Make an image of a label map.

        Parameters
        ----------
        z
            Styles (b or 1, z_dim), see `encoders.spade_style.drawn_styles`; only for networks that
            take one.

        Raises
        ------
        InputError
            If sides are no multiples of the stride, or the style is none of this network's.
        """
        if any(side % self.stride for side in classes.shape[2:]):
            raise InputError(
                f"Expected sides that are multiples of {self.stride}, got "
                f"{tuple(classes.shape[2:])}; crop or extend the label map."
            )
        x = self._first(shrunk(classes, self.stride), z)
        for name, doubled in self._doubled.items():
            if doubled:
                x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.get_submodule(name)(x, classes)
        return torch.tanh(self.conv_img(functional.leaky_relu(x, SLOPE)))

    def _first(self, small: Tensor, z: Tensor | None) -> Tensor:
        if not isinstance(self.fc, FirstMap):
            if z is not None:
                raise InputError("This network takes no style; it was built with use_vae=False.")
            first: Tensor = self.fc(small)
            return first
        found: Tensor = self.fc((self._style(len(small)) if z is None else z).to(small))
        size = small.shape[2:]
        if z is None or found.shape[2:] != size:
            found = found.mean((2, 3), keepdim=True)
        return found.expand(len(small), -1, *size)

    def _style(self, count: int) -> Tensor:
        assert self.z_dim is not None
        if self.training:
            return torch.randn(count, self.z_dim)
        return torch.zeros(1, self.z_dim) if self.style is None else self.style


class FirstMap(nn.Linear):
    """From styles (b, z_dim) to maps (b, channels, height, width)."""

    def __init__(self, z_dim: int, channels: int, height: int, width: int) -> None:
        super().__init__(z_dim, channels * height * width)
        self.z_dim, self._shape = z_dim, (channels, height, width)

    def forward(self, z: Tensor) -> Tensor:
        """One map per style."""
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise InputError(f"Expected styles (b, {self.z_dim}), got shape {tuple(z.shape)}.")
        maps: Tensor = super().forward(z).unflatten(1, self._shape)
        return maps


class SpadeBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))), the sum's other side convolved if widths differ.

    From features (b, inputs, y, x) and a label map to (b, outputs, y, x).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        classes: int,
        hidden: int,
        kernel: int,
        norm: Norm,
        spectral: bool,
    ) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = plain_or_spectral(spectral, inputs, middle, 3, padding=1)
        self.conv_1 = plain_or_spectral(spectral, middle, outputs, 3, padding=1)
        self.norm_0 = SpadeNorm(inputs, classes, hidden, kernel, norm)
        self.norm_1 = SpadeNorm(middle, classes, hidden, kernel, norm)
        self.widens = inputs != outputs
        if self.widens:
            self.conv_s = plain_or_spectral(spectral, inputs, outputs, 1, bias=False)
            self.norm_s = SpadeNorm(inputs, classes, hidden, kernel, norm)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        """Add the block's correction."""
        own = self.conv_s(self.norm_s(x, classes)) if self.widens else x
        made = self.conv_0(functional.leaky_relu(self.norm_0(x, classes), SLOPE))
        made = self.conv_1(functional.leaky_relu(self.norm_1(made, classes), SLOPE))
        total: Tensor = own + made
        return total
