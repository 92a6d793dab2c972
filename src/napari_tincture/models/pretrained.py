"""Encoders by the names of their published weights, and ImageNet files that users have of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models.layers.pyramid import PyramidEncoder
from napari_tincture.models.registry import build_network
from napari_tincture.models.user_weights import read_tensors
from napari_tincture.models.weights import fill_network

if TYPE_CHECKING:
    from os import PathLike

    from torch import Tensor, nn

EncoderName = Literal["resnet18", "resnet34", "vgg16_bn"]
ENCODERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "unet": ("unet", {}),
    "resnet18": ("resnet", {"layers": 18}),
    "resnet34": ("resnet", {"layers": 34}),
    "vgg16_bn": ("vgg_bn", {}),
}
"""File and options of each encoder."""


def build_encoder(name: str, **options: Any) -> PyramidEncoder:
    """Build an encoder with random weights.

    Parameters
    ----------
    name
        "unet", "resnet18", "resnet34" or "vgg16_bn".
    options
        Of its ``build``; None leaves an option at its default.

    Raises
    ------
    ModelError
        If there is no such encoder, or it does not take the options.
    """
    if name not in ENCODERS:
        raise ModelError(f"Unknown encoder {name!r}: choose one of {', '.join(ENCODERS)}.")
    file, fixed = ENCODERS[name]
    given = {key: value for key, value in options.items() if value is not None}
    network = build_network(file, {**given, **fixed}, "encoders")
    assert isinstance(network, PyramidEncoder)
    return network


def load_encoder(network: nn.Module, path: str | PathLike[str]) -> None:
    """Fill an encoder with ImageNet weights; the rest of the network stays as it is.

    Images are then best given channels with mean 0 and standard deviation 1, as ImageNet's were.
    A first convolution of other than 3 channels gets weights by `adapt_channels`.

    Parameters
    ----------
    network
        A ResNet or VGG encoder, or a network with one as ``encoder``; changed in place.
    path
        State dict of torchvision's network of that name, of torch (``.pth``, read without running
        code) or as ``.safetensors``. Its classifier, and what lies behind a shallower encoder, is
        ignored.

    Raises
    ------
    InputError
        If there is no such file.
    ModelError
        If the file is damaged, contains code, or a tensor is missing, unknown or of another
        shape (named); or if the encoder has no published weights.
    """
    encoder = network if isinstance(network, PyramidEncoder) else getattr(network, "encoder", None)
    if not isinstance(encoder, PyramidEncoder) or not encoder.first:
        raise ModelError(
            f"{type(network).__name__} has no encoder with published weights. Expected a network "
            f"with one of {', '.join(name for name in ENCODERS if name != 'unet')}."
        )
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(
            f"There is no file {file}; expected a state dict of torchvision's network there."
        )
    state = {k: v for k, v in read_tensors(file).items() if not encoder.lies_behind(k)}
    own = encoder.state_dict()
    # Files of torch before 0.4.1 have no such counts, and nothing is computed from them.
    counts = {key: own[key] for key in own if key.endswith("num_batches_tracked")}
    first = state.get(encoder.first)
    if first is not None and first.ndim == 4 and first.shape[1] == 3:
        state[encoder.first] = adapt_channels(first, own[encoder.first].shape[1])
    fill_network(encoder, {**counts, **state}, str(file))


def adapt_channels(weight: Tensor, channels: int) -> Tensor:
    """Make a convolution of RGB images one of any number of channels.

    For fewer than three channels each gets the sum over RGB, divided by their number. For three or
    more they get the kernels of R, G, B, R, … in turn, each divided by how many channels get the
    same (multiples of 3: scaled by 3 / channels). In both cases a grey image repeated in all
    channels gives what it gives as RGB.

    Parameters
    ----------
    weight
        (out, 3, y, x).

    Returns
    -------
    Tensor
        (out, channels, y, x).
    """
    weight = weight.detach()
    if channels < 3:
        return weight.sum(1, keepdim=True).repeat(1, channels, 1, 1) / channels
    colour = torch.arange(channels) % 3
    share = 1 / colour.bincount()[colour].to(weight)
    return weight[:, colour] * share[:, None, None]
