"""Semantic diffusion: a denoiser learns images of label maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_tincture.diffusion.estimate import estimated, noised
from napari_tincture.diffusion.schedules import noise_schedule
from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.denoising import Denoising, Predicts, Time, Variance
from napari_tincture.models.label_maps import one_hot
from napari_tincture.training.denoising import (
    Distance,
    Levels,
    by_image,
    distances,
    dropped,
    forgotten,
    min_snr,
    variational_bound,
    wanted,
)
from napari_tincture.training.labels.labelling import Labelling
from napari_tincture.training.objective import Batch, Losses, Published, Update, check_weights
from napari_tincture.training.sizes import Size, pick

PUBLISHED = Published(
    title="Semantic diffusion",
    data="paired",
    citation=(
        "Wang et al., Semantic image synthesis via diffusion models, arXiv 2207.00050, 2022; "
        "Saharia et al., Image super-resolution via iterative refinement, TPAMI 2022"
    ),
    schedule={
        "optimiser": "adamw", "lr": 2e-4, "betas": (0.9, 0.99), "weight_decay": 0.01,
        "ema": 0.999, "clip": 1.0, "decay": "cosine", "keep": "last",
    },
    initialisation="none",
    labels=True,
    synthesizes=True,
    denoises=True,
    sampling={"batch": 4, "foreground": 0.5},
    augment={"flips": (True, True), "rot90": True},
)  # fmt: skip

SIZES: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"width": 32, "channel_mult": [1, 2, 2, 4], "res_blocks": 2, "patch": 2},
    "standard": {"width": 64, "channel_mult": [1, 2, 4, 4], "res_blocks": 3, "patch": 1},
    "large": {"width": 128, "channel_mult": [1, 1, 2, 2, 4], "res_blocks": 3, "patch": 1},
}
Scheduled = Literal["cosine", "linear", "sigmoid", "quadratic"]


@dataclass(frozen=True, slots=True)
class Weights:
    """What the losses weigh: finding what is wanted, and the bound that variances learn from."""

    denoising: float = 1.0
    bound: float = 1e-3

    def __post_init__(self) -> None:
        check_weights(self)


def parts(
    size: Size,
    in_channels: int = 3,
    out_channels: int = 3,
    condition: Literal["concatenate", "spade", "both"] = "both",
    blocks: Literal["biggan", "plain"] = "biggan",
    res_blocks: int | None = None,
    dropout: float = 0.1,
) -> dict[str, Part]:
    """The one network, a U-Net that is told the noise and the label map.

    Parameters
    ----------
    condition
        How the label map enters: beside the noisy image, by SPADE norms, or both.
    blocks
        Residual blocks as in SR3's published code ("plain"), or as in BigGAN with the sum scaled
        by 1/√2.
    res_blocks
        Of each level; None: as the size has them.
    """
    own = dict(pick(size, SIZES))
    if res_blocks is not None:
        own["res_blocks"] = res_blocks
    options = {
        "in_channels": in_channels, "out_channels": out_channels, **own, "condition": condition,
        "blocks": blocks, "dropout": dropout,
    }  # fmt: skip
    return {"forward": Part("semantic_sr3", options)}


def build(
    networks: Mapping[str, nn.Module],
    weights: Weights = Weights(),
    unlabelled: int = -1,
    classes: Sequence[Any] | None = None,
    schedule: Scheduled = "cosine",
    steps: int = 1000,
    predicts: Predicts = "velocity",
    variance: Variance = "small",
    time: Time = "level",
    distance: Distance = "mse",
    snr_gamma: float = 0.0,
    drop: float = 0.1,
    style_from: str = "",
    styles: Sequence[str] = (),
    style_drop: float = 0.2,
    window: int = 256,
    overlap: int = 48,
    coarse: int = 1,
    coarse_level: float = 0.5,
    usual: Mapping[str, Any] | None = None,
) -> SemanticDiffusion:
    """Let the network "forward" learn to find the noise in images of label maps.

    Parameters
    ----------
    unlabelled
        Value of pixels of no class; -1: every value is a class.
    schedule, steps
        Of the noise; see `napari_tincture.diffusion.schedules`.
    predicts
        What the network learns to give: the noise, the clean image, or a mixture of both (Salimans
        and Ho 2022) that is well scaled at every noise level.
    variance
        Of the steps back; "learned" doubles the network's channels.
    time
        What the network is told: the step, or the noise level, which may lie between steps.
    snr_gamma
        Weight of nearly clean images, see `denoising.min_snr`; 5 is published; 0: all count alike.
    drop
        Share of the images that are learned with an empty map, which guidance needs.
    style_from, styles
        A regular expression that names the style of an image by the image's name, such as
        "^(slide[0-9]+)_", and the names of all styles; where there are none, those of the training
        images. Empty: no styles.
    style_drop
        Share of the images that are learned without their style, so that maps can be drawn in none.
    window, overlap, coarse, coarse_level
        How large images are made; kept on the card.
    usual
        "sampler", "steps" and "guidance" with which it draws best; kept on the card.
    """
    labelling = Labelling.of({"unlabelled": unlabelled, "classes": classes or ()})
    card = denoising_of({
        "schedule": schedule, "steps": steps, "predicts": predicts, "variance": variance,
        "time": time, "drop": drop, "window": window, "overlap": overlap, "coarse": coarse,
        "coarse_level": coarse_level, "usual": usual or {},
    })  # fmt: skip
    if variance == "learned" and time != "index":
        raise InputError(
            f"variance='learned' is learned at whole steps: give time='index', not {time!r}."
        )
    if styles and not style_from:
        raise InputError(
            f"The styles {', '.join(styles)} are named, but not which images are of which: give "
            "style_from, such as '^([a-z]+)_'."
        )
    for name, share in (("drop", drop), ("style_drop", style_drop)):
        if not 0 <= share < 1:
            raise InputError(f"{name}={share}: expected a share from 0 to below 1.")
    return SemanticDiffusion(
        networks, weights, labelling, card, distance, snr_gamma, drop, style_drop
    )


def denoising_of(options: Mapping[str, Any]) -> Denoising:
    """What a card says of a denoiser that was trained with these options of `build`."""
    schedule = {"name": options.get("schedule", "cosine"), "steps": options.get("steps", 1000)}
    known = ("predicts", "variance", "time", "window", "overlap", "coarse", "coarse_level", "usual")
    usual = {"predicts": "velocity", "time": "level"}
    own = {**usual, **{name: options[name] for name in known if name in options}}
    return Denoising(schedule=schedule, guided=options.get("drop", 0.1) > 0, **own)


class SemanticDiffusion:
    """One denoiser that learns from pairs: "a" the image, "b" numbers of classes."""

    groups: Mapping[str, tuple[str, ...]] = {"generators": ("forward",)}

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        weights: Weights,
        labelling: Labelling,
        denoising: Denoising,
        distance: Distance,
        snr_gamma: float,
        drop: float,
        style_drop: float = 0.0,
    ) -> None:
        self.networks, self.weights, self.labelling = networks, weights, labelling
        self.denoising, self.distance, self.snr_gamma = denoising, distance, snr_gamma
        self.drop, self.style_drop = drop, style_drop
        self.levels = Levels(noise_schedule(**denoising.schedule), denoising.time == "level")

    def step(self, batch: Batch, update: Update) -> Losses:
        """Lower the loss for one noise level per image."""
        image = batch["a"]
        condition = dropped(one_hot(batch["b"], len(self.labelling.classes)), self.drop)
        told, shares = self.levels.draw(len(image), image.device)
        noise, style = torch.randn_like(image), batch.get("style")
        if style is not None:
            style = forgotten(style, self.style_drop)
        losses = self.losses(image, condition, noise, told, shares, style)
        loss = torch.stack([*losses.values()]).sum()
        update("generators", loss)
        found = {name: value.detach() for name, value in losses.items()}
        return {"loss": loss.detach(), **(found if len(found) > 1 else {})}

    def losses(
        self, image: Tensor, condition: Tensor, noise: Tensor, told: Tensor, shares: Tensor,
        style: Tensor | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Weighted losses of images (b, c, y, x) at noise levels (b,), perhaps of styles (b,)."""
        predicts, channels = self.denoising.predicts, image.shape[1]
        share = by_image(shares)
        x = noised(image, noise, share)
        known = () if style is None else (style,)
        output = self.networks["forward"](x, told, condition, *known)
        aim = wanted(image, noise, share, predicts)
        apart = distances(output[:, :channels], aim, self.distance)
        weight = min_snr(shares, self.snr_gamma, predicts)
        losses = {"denoising": self.weights.denoising * (apart * weight).mean()}
        if self.denoising.variance == "learned":
            guess, _ = estimated(x, output[:, :channels], share, predicts)
            bound = variational_bound(
                self.levels.schedule, image, x, told, guess, output[:, channels:]
            )
            losses["bound"] = self.weights.bound * bound.mean()
        return losses

    def state_dict(self) -> dict[str, Any]:
        """Nothing: a step depends on the weights and the batch alone."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take up."""
