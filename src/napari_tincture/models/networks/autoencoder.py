"""An autoencoder on a segmentation network's encoder, which it can train without labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_tincture.errors import ModelError
from napari_tincture.models.layers.pyramid import Decoder
from napari_tincture.models.layers.unet_blocks import init_weights
from napari_tincture.models.pretrained import build_encoder

PREFIX = "encoder."

SMALL = {
    "in_channels": 2, "out_channels": 2, "width": 2, "encoder_options": {"depth": 2, "width": 4},
}  # fmt: skip
"""Options of a network that tests and demonstrations can afford."""


def build(
    in_channels: int = 1,
    out_channels: int | None = None,
    encoder: str = "unet",
    encoder_options: Mapping[str, Any] | None = None,
    width: int = 16,
    head: Literal["none", "sigmoid"] = "none",
) -> Autoencoder:
    """Build an autoencoder; sides are multiples of the encoder's stride.

    Without skip connections all that is reconstructed has passed the deepest features.

    Parameters
    ----------
    out_channels
        None: as many as the image has.
    encoder, encoder_options
        Encoder of the network to be initialised, "unet", "resnet18", "resnet34" or "vgg16_bn", and
        its options but the channels: of `unet` depth, width, max_width, norm and residual; of
        `encoder_unet` depth, and width for its encoder_width.
    width
        Channels of the decoder at full resolution, doubled with the stride.
    head
        "sigmoid" for images in [0, 1], "none" for any other range.

    Raises
    ------
    ModelError
        Options that are unknown or out of range.

    References
    ----------
    Hinton and Salakhutdinov, Science 2006; Masci et al., ICANN 2011 (convolutional, as
    initialisation).
    """
    if head not in ("none", "sigmoid"):
        raise ModelError(f"Unknown head {head!r}: choose 'none' or 'sigmoid'.")
    options = {**(encoder_options or {}), "in_channels": in_channels}
    return Autoencoder(encoder, options, out_channels or in_channels, width, head)


class Autoencoder(nn.Module):
    """From (b, in_channels, y, x) to its reconstruction (b, out_channels, y, x), float."""

    def __init__(
        self, encoder: str, options: Mapping[str, Any], out_channels: int, width: int, head: str
    ) -> None:
        super().__init__()
        self.head = head
        self.encoder = build_encoder(encoder, **options)
        self.decoder = Decoder(self.encoder, width, skips=False)
        self.last = nn.Conv2d(width, out_channels, 1)
        self.decoder.apply(init_weights)
        init_weights(self.last)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in_channels, y, x) to (b, out_channels, y, x)."""
        x = self.last(self.decoder(self.encoder(x)))
        return torch.sigmoid(x) if self.head == "sigmoid" else x


def hand_over(autoencoder_state: Mapping[str, Tensor], network: nn.Module) -> tuple[str, ...]:
    """Copy an autoencoder's encoder into a network that has the same.

    One encoder may be deeper than the other; levels that both have must agree in all tensors.

    Parameters
    ----------
    autoencoder_state
        State dict of an `Autoencoder`.
    network
        A `unet` or `encoder_unet`, changed in place.

    Returns
    -------
    tuple of str
        Names of the network's tensors that were replaced, sorted.

    Raises
    ------
    ModelError
        If nothing fits, or tensors of the encoders differ in shape or name; nothing is changed.
    """
    given = {
        key.removeprefix(PREFIX): value
        for key, value in autoencoder_state.items()
        if key.startswith(PREFIX)
    }
    wanted = network.state_dict()
    # `unet` has its contracting path among its own blocks.
    place = PREFIX if any(key.startswith(PREFIX) for key in wanted) else ""
    rooms = {key.partition(".")[0] for key in given}
    own = {
        key.removeprefix(place): value
        for key, value in wanted.items()
        if key.startswith(place) and (place or key.partition(".")[0] in rooms)
    }
    taken = _fitting(given, own)
    network.load_state_dict({place + key: given[key] for key in taken}, strict=False)
    return tuple(sorted(place + key for key in taken))


def _fitting(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> set[str]:
    shared = given.keys() & own.keys()
    levels = {_level(key) for key in given} & {_level(key) for key in own}
    # With other norms, blocks or numbers of layers some names of a level agree by chance.
    apart = {key for key in given.keys() ^ own.keys() if _level(key) in levels}
    apart |= {key for key in shared if given[key].shape != own[key].shape}
    if not shared or apart:
        shown = [
            f"{key}: {_shape(given, key)} given, {_shape(own, key)} expected"
            for key in sorted(apart or given)[:3]
        ]
        raise ModelError(
            "The autoencoder's encoder does not fit the network "
            f"({'; '.join(shown) or 'there is none'}). Build both with the same encoder, options "
            "and input channels."
        )
    return shared


def _level(key: str) -> str:
    """What comes up to the first number: "down.0", "layer1", "features.3"."""
    return re.split(r"(?<=\d)(?!\d)", key, maxsplit=1)[0]


def _shape(tensors: Mapping[str, Tensor], key: str) -> str:
    return str(tuple(tensors[key].shape)) if key in tensors else "none"
