"""Paired regression: what should come out is known, pixel by pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.training.losses import LossTerm, total
from napari_tincture.training.objective import Batch, Losses, Published, Update
from napari_tincture.training.pairs_loss import trusted

Size = Literal["tiny", "standard", "large"]
PUBLISHED = Published(
    title="Regression",
    data="paired",
    citation="Ronneberger et al., U-Net, MICCAI 2015 (the network)",
    schedule={"lr": 1e-3, "weight_decay": 1e-2},
    initialisation="none",
)
SIZES: Mapping[str, Mapping[str, int]] = {
    "tiny": {"depth": 3, "width": 16, "max_width": 64},
    "standard": {"depth": 4, "width": 32, "max_width": 256},
    "large": {"depth": 4, "width": 64, "max_width": 1024},
}


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the losses of `napari_tincture.training.losses`, on all channels.

    The constants of "ssim" are those of images in a range of length 1.
    """

    l1: float = 1.0
    mse: float = 0.0
    pearson: float = 0.0
    ssim: float = 0.0

    def terms(self) -> tuple[LossTerm, ...]:
        """The losses that have a weight."""
        kinds = {"l1": self.l1, "mse": self.mse, "pearson": self.pearson, "ssim": self.ssim}
        return tuple(LossTerm(kind, weight) for kind, weight in kinds.items() if weight)


def parts(
    size: Size,
    in_channels: int = 3,
    out_channels: int = 3,
    head: Literal["none", "sigmoid"] = "none",
    dropout: float = 0.0,
) -> dict[str, Part]:
    """The one network, a padded U-Net with instance norm.

    Parameters
    ----------
    head
        "none" for targets in [-1, 1] or any other range, "sigmoid" for [0, 1].
    """
    if size not in SIZES:
        raise InputError(f"Unknown size {size!r}: choose one of {', '.join(SIZES)}.")
    options: dict[str, Any] = {
        "in_channels": in_channels,
        "out_channels": out_channels,
        **SIZES[size],
        "padded": True,
        "norm": "instance",
        "dropout": dropout,
        "head": head,
    }
    return {"forward": Part("unet", options)}


def build(networks: Mapping[str, nn.Module], weights: Weights | None = None) -> Regression:
    """Let the network "forward" learn with losses on all channels; by default L1."""
    return Regression(networks, (weights or Weights()).terms())


class Regression:
    """One network that learns from pairs: "a" what it is given, "b" what it should give.

    A batch may hold "weight" (b, 1, y, x): the losses "l1" and "mse" are then means over the
    weight; in other losses pixels of weight 0 are taken to be right.
    """

    groups: Mapping[str, tuple[str, ...]] = {"generators": ("forward",)}

    def __init__(self, networks: Mapping[str, nn.Module], losses: tuple[LossTerm, ...]) -> None:
        if not losses:
            raise InputError("There is no loss to learn from: give one of them a weight.")
        self.networks, self.losses = networks, losses

    def step(self, batch: Batch, update: Update) -> Losses:
        """Lower the sum of the losses; "loss" is that sum."""
        image, target = batch["a"], batch["b"]
        prediction = self.networks["forward"](image)
        with torch.autocast(image.device.type, enabled=False):
            wanted = trusted(target, prediction, batch.get("weight"))
            loss = total(self.losses, prediction, wanted, batch.get("weight"))
        update("generators", loss)
        return {"loss": loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        """Nothing: a step depends on the weights and the batch alone."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take up."""
