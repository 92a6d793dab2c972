"""Autoencoder: learns to make images of themselves, without labels, for others to start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.layers.unet_blocks import Norm
from napari_tincture.training.corruption import Corruption, Mode
from napari_tincture.training.losses import LossTerm, total
from napari_tincture.training.objective import Batch, Losses, Published, Update, check_weights
from napari_tincture.training.objectives.segmentation import SIZES
from napari_tincture.training.sizes import Size, pick

PUBLISHED = Published(
    title="Autoencoder",
    data="images",
    citation=(
        "Vincent et al., Stacked denoising autoencoders, JMLR 2010; Pathak et al., Context "
        "encoders, CVPR 2016"
    ),
    schedule={
        "optimiser": "adam", "lr": 1e-3, "weight_decay": 0.0, "ema": 0.99, "keep": "best",
    },
    equal_channels=True,
    initialisation="none",
    sampling={"batch": 4},
    augment={"flips": (True, True), "rot90": True},
)  # fmt: skip
WIDTHS: Mapping[Size, int] = {"tiny": 8, "standard": 16, "large": 32}
"""Of the decoder, which nobody takes over."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the mean squared and the mean absolute error."""

    mse: float = 1.0
    l1: float = 0.0

    def __post_init__(self) -> None:
        check_weights(self)

    @property
    def terms(self) -> tuple[LossTerm, ...]:
        """The losses that have a weight."""
        kinds = {"mse": self.mse, "l1": self.l1}
        return tuple(LossTerm(kind, weight) for kind, weight in kinds.items() if weight)


def parts(
    size: Size,
    in_channels: int = 3,
    out_channels: int = 3,
    encoder: Literal["unet", "resnet18", "resnet34", "vgg16_bn"] = "unet",
    norm: Norm = "batch",
    residual: bool = False,
) -> dict[str, Part]:
    """The one network; its encoder is that of segmentation of the same size and options.

    Parameters
    ----------
    encoder
        That of the network to be initialised. The options below are those of the U-Net's own.
    norm
        Normalisation after each convolution.
    residual
        Residual blocks.
    """
    own: dict[str, Any] = {**pick(size, SIZES), "norm": norm, "residual": residual}
    options: dict[str, Any] = {
        "in_channels": in_channels,
        "out_channels": out_channels,
        "encoder": encoder,
        "encoder_options": own if encoder == "unet" else {},
        "width": pick(size, WIDTHS),
    }
    return {"forward": Part("autoencoder", options)}


def build(
    networks: Mapping[str, nn.Module],
    weights: Weights | None = None,
    mode: Mode = "denoising",
    noise: float = 0.1,
    impulses: float = 0.05,
    holes: float = 0.25,
    hole: int = 16,
    particles: int = 4,
    masked_only: bool = False,
) -> Autoencoder:
    """Let the network "forward" make images of what is shown of them.

    Parameters
    ----------
    mode
        What is shown: the image ("plain"), the image with noise ("denoising"), or with holes and
        particles ("masked").
    noise, impulses
        Of "denoising": standard deviation of Gaussian noise, in values as the network takes them,
        and share of pixels that are the image's least or greatest value.
    holes, hole, particles
        Of "masked": share of squares that are filled with the mean, their side in pixels, and
        number of ellipses up to that size that are pasted into a crop.
    masked_only
        Of "masked": the loss counts on masked pixels alone, as in context encoders and masked
        autoencoders. What is visible may then come out otherwise, and figures of whole images say
        little.
    """
    corruption = Corruption(mode, noise, impulses, holes, hole, particles)
    return Autoencoder(networks, weights or Weights(), corruption, masked_only)


class Autoencoder:
    """One network that learns from images: "b" as they are, of what is shown of "a".

    Each step draws the corruption c anew and lowers "loss" = Σ w · mean (f(c(a)) − b)² (or of the
    absolute values), over all pixels or the masked ones. Its optimum is the mean of all images
    that may have been what is shown. A batch may hold "weight" (b, 1, y, x) of the pixels.
    """

    groups: Mapping[str, tuple[str, ...]] = {"generators": ("forward",)}

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        weights: Weights,
        corruption: Corruption,
        masked_only: bool,
    ) -> None:
        if not weights.terms:
            raise InputError("There is no loss to learn from: give one of them a weight.")
        if masked_only and corruption.mode != "masked":
            raise InputError(
                f"mode={corruption.mode!r} masks nothing that a loss could count on; choose "
                "mode='masked', or masked_only=False."
            )
        self.networks, self.terms, self.corruption = networks, weights.terms, corruption
        self.masked_only = masked_only

    def step(self, batch: Batch, update: Update) -> Losses:
        """Lower the sum of the losses; "loss" is that sum."""
        image, target = batch["a"], batch["b"]
        shown, masked = self.corruption(image)
        made = self.networks["forward"](shown)
        pixels = batch.get("weight")
        if self.masked_only:
            pixels = masked if pixels is None else masked * pixels
        with torch.autocast(image.device.type, enabled=False):
            loss = total(self.terms, made, target, pixels)
        update("generators", loss)
        return {"loss": loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        """Nothing: a step depends on the weights and the batch alone."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take up."""
