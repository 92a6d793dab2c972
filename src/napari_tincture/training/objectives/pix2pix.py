"""pix2pix: a U-Net and a discriminator that sees input and output, from registered pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.training.adversarial import Game, adversarial
from napari_tincture.training.objective import (
    ADAM,
    Batch,
    Losses,
    Published,
    Update,
    check_weights,
    fixed,
)
from napari_tincture.training.pairs_loss import trusted, weighted_l1
from napari_tincture.training.sizes import Size, pick
from napari_tincture.training.together import together

PUBLISHED = Published(
    title="pix2pix",
    data="paired",
    citation=(
        "Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017"
    ),
    schedule={"lr": 2e-4, "weight_decay": 0.0, **ADAM},
    resize=286,
)

PRESETS: Mapping[Size, Mapping[str, int]] = {
    "tiny": {"num_downs": 7, "ngf": 16},
    "standard": {"num_downs": 8, "ngf": 64},
    "large": {"num_downs": 8, "ngf": 96},
}


def parts(size: Size = "standard", in_channels: int = 3, out_channels: int = 3) -> dict[str, Part]:
    """A U-Net with dropout, ``unet_256`` or for size "tiny" ``unet_128``, and a PatchGAN."""
    options = pick(size, PRESETS)
    both = {"in_channels": in_channels + out_channels, "ndf": options["ngf"], "norm": "batch"}
    channels = {"in_channels": in_channels, "out_channels": out_channels}
    return {
        "forward": Part("unet_generator", {**channels, **options}),
        "discriminator": Part("patch", both),
    }


@dataclass(frozen=True, slots=True)
class Weights:
    """What the losses weigh, beside the adversarial one."""

    l1: float = 100.0

    def __post_init__(self) -> None:
        check_weights(self)


def build(
    networks: Mapping[str, nn.Module], weights: Weights = Weights(), game: Game = "vanilla"
) -> Pix2Pix:
    """Let two networks play: "forward", and "discriminator", which sees a and b together.

    References
    ----------
    Isola et al., pix2pix, CVPR 2017, equations 1, 3 and 4.
    """
    missing = [name for name in Pix2Pix.parts if name not in networks]
    if missing:
        raise InputError(f"pix2pix needs the networks {Pix2Pix.parts}; missing {missing}.")
    return Pix2Pix(networks, weights, game)


class Pix2Pix:
    """The discriminator first, its loss halved, then the generator.

    Losses by their published names: "D_fake", "D_real", "G_GAN", "G_L1". Batches may hold
    "weight", (b, 1, y, x): the weights of the pixels in "G_L1"; the discriminator is shown the
    generator's own pixels where they are 0.
    """

    groups: Mapping[str, tuple[str, ...]] = {
        "generators": ("forward",),
        "discriminators": ("discriminator",),
    }
    parts = ("forward", "discriminator")

    def __init__(self, networks: Mapping[str, nn.Module], weights: Weights, game: Game) -> None:
        self.networks = {name: networks[name] for name in self.parts}
        self.weights, self.game = weights, game

    def step(self, batch: Batch, update: Update) -> Losses:
        """Take one step on the registered "a" and "b"."""
        a, b = batch["a"], batch["b"]
        if a.shape[0] != b.shape[0] or a.shape[2:] != b.shape[2:]:
            raise InputError(
                f"Registered pairs have one size, got {tuple(a.shape)} and {tuple(b.shape)}."
            )
        judge = self.networks["discriminator"]
        fake = self.networks["forward"](a)
        real = trusted(b, fake, batch.get("weight"))
        losses = self._judge(a, real, fake.detach())
        update("discriminators", (losses["D_fake"] + losses["D_real"]) / 2)
        with fixed(judge):
            scores = judge(torch.cat([a, fake], dim=1))
            losses["G_GAN"] = adversarial(scores, real=True, game=self.game)
            losses["G_L1"] = self.weights.l1 * weighted_l1(fake, b, batch.get("weight"))
            update("generators", losses["G_GAN"] + losses["G_L1"])
        return {name: loss.detach() for name, loss in losses.items()}

    def _judge(self, a: Tensor, b: Tensor, fake: Tensor) -> dict[str, Tensor]:
        made, real = (torch.cat([a, image], dim=1) for image in (fake, b))
        scores, others = together(self.networks["discriminator"], made, real)
        return {
            "D_fake": adversarial(scores, real=False, game=self.game),
            "D_real": adversarial(others, real=True, game=self.game),
        }

    def state_dict(self) -> dict[str, Any]:
        """Nothing: no draw and no image outlives a step."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""
