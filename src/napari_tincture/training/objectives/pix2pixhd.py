"""pix2pixHD: images of label maps, judged on several scales and by features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.features.vgg import Vgg19
from napari_tincture.training.adversarial import Game
from napari_tincture.training.objective import (
    ADAM,
    Batch,
    Losses,
    Published,
    Update,
    check_weights,
    fixed,
)
from napari_tincture.training.pairs_loss import trusted
from napari_tincture.training.perceptual import perceptual
from napari_tincture.training.scales import Judgement, feature_matching, summed
from napari_tincture.training.sizes import Size, pick
from napari_tincture.training.together import together

PUBLISHED = Published(
    title="pix2pixHD",
    data="paired",
    citation=(
        "Wang et al., High-resolution image synthesis and semantic manipulation with "
        "conditional GANs, CVPR 2018"
    ),
    schedule={"lr": 2e-4, "weight_decay": 0.0, **ADAM},
)

GENERATORS: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"ngf": 16, "n_downsample_global": 3, "n_blocks_global": 4},
    "standard": {"ngf": 64, "n_downsample_global": 4, "n_blocks_global": 9},
    "large": {"netG": "local", "ngf": 32, "n_downsample_global": 4, "n_blocks_global": 9},
}
DISCRIMINATORS: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"ndf": 16, "num_D": 2},
    "standard": {"ndf": 64, "num_D": 2},
    "large": {"ndf": 64, "num_D": 3},
}


def parts(
    size: Size = "standard",
    in_channels: int = 36,
    out_channels: int = 3,
    instance_feat: bool = False,
    feat_num: int = 3,
) -> dict[str, Part]:
    """A generator, for size "large" with a local enhancer, and discriminators.

    Parameters
    ----------
    in_channels
        Those of a batch's "a": one-hot labels, and the edges of instances.
    instance_feat, feat_num
        Whether an encoder gives features of instances, and how many.
    """
    features = feat_num if instance_feat else 0
    generator = {"in_channels": in_channels + features, "out_channels": out_channels}
    both = {"in_channels": in_channels + out_channels}
    found = {
        "forward": Part("pix2pixhd", {**generator, **pick(size, GENERATORS)}),
        "discriminator": Part("multiscale", {**both, **pick(size, DISCRIMINATORS)}),
    }
    if instance_feat:
        encoder = {"in_channels": out_channels, "out_channels": feat_num}
        found["encoder"] = Part("pix2pixhd_features", encoder)
    return found


@dataclass(frozen=True, slots=True)
class Weights:
    """What the losses weigh, beside the adversarial one; `vgg` where there is a VGG."""

    features: float = 10.0
    vgg: float = 10.0

    def __post_init__(self) -> None:
        check_weights(self)


def build(
    networks: Mapping[str, nn.Module],
    weights: Weights = Weights(),
    game: Game = "lsgan",
    vgg: Vgg19 | None = None,
) -> Pix2PixHD:
    """Let "forward" and "discriminator" play, and "encoder" help if it is there.

    Parameters
    ----------
    vgg
        Adds the perceptual loss; it takes images in [-1, 1] as they are, as published.

    References
    ----------
    Wang et al., CVPR 2018, equations 3 to 5.
    """
    missing = [name for name in ("forward", "discriminator") if name not in networks]
    if missing:
        raise InputError(f"pix2pixHD needs the networks forward and discriminator, not {missing}.")
    return Pix2PixHD(networks, weights, game, vgg)


class Pix2PixHD:
    """All losses of one forward pass, then the generator's step, then the discriminator's.

    Losses by their published names: "G_GAN", "G_GAN_Feat", "G_VGG", "D_real", "D_fake"; the
    discriminator learns from half of the sum of its two. Batches hold label channels "a" and
    registered images "b"; for an encoder "instances", (b, 1, y, x), too. Where pixels of a
    "weight" (b, 1, y, x) are 0, nothing is learned from "b".
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        weights: Weights,
        game: Game,
        vgg: Vgg19 | None,
    ) -> None:
        learners = tuple(name for name in ("forward", "encoder") if name in networks)
        self.groups: Mapping[str, tuple[str, ...]] = {
            "generators": learners,
            "discriminators": ("discriminator",),
        }
        self.networks = {name: networks[name] for name in (*learners, "discriminator")}
        self.weights, self.game, self.vgg = weights, game, vgg

    def step(self, batch: Batch, update: Update) -> Losses:
        """Take one step on the registered "a" and "b"."""
        a, b = batch["a"], batch["b"]
        if a.shape[0] != b.shape[0] or a.shape[2:] != b.shape[2:]:
            raise InputError(
                f"Registered pairs have one size, got {tuple(a.shape)} and {tuple(b.shape)}."
            )
        judge = self.networks["discriminator"]
        fake = self.networks["forward"](self._input(batch))
        b = trusted(b, fake, batch.get("weight"))
        made, real = torch.cat([a, fake], 1), torch.cat([a, b], 1)
        others, scores = together(judge, made.detach(), real)
        with fixed(judge):
            losses = self._fool(judge(made), scores) | self._compare(fake, b)
            update("generators", torch.stack(list(losses.values())).sum())
        losses["D_real"] = summed(scores, real=True, game=self.game)
        losses["D_fake"] = summed(others, real=False, game=self.game)
        update("discriminators", (losses["D_real"] + losses["D_fake"]) / 2)
        return {name: loss.detach() for name, loss in losses.items()}

    def _input(self, batch: Batch) -> Tensor:
        if "encoder" not in self.networks:
            return batch["a"]
        if "instances" not in batch:
            raise InputError("An encoder of instances needs 'instances' (b, 1, y, x) in a batch.")
        features = self.networks["encoder"](batch["b"], batch["instances"])
        return torch.cat([batch["a"], features], 1)

    def _fool(self, scores: Judgement, wanted: Judgement) -> Losses:
        losses = {"G_GAN": summed(scores, real=True, game=self.game)}
        if self.weights.features and len(scores[0]) > 1:
            losses["G_GAN_Feat"] = self.weights.features * feature_matching(scores, wanted)
        return losses

    def _compare(self, fake: Tensor, real: Tensor) -> Losses:
        if self.vgg is None or not self.weights.vgg:
            return {}
        return {"G_VGG": self.weights.vgg * perceptual(self.vgg, fake, real)}

    def state_dict(self) -> dict[str, Any]:
        """Nothing: no draw and no image outlives a step."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""
