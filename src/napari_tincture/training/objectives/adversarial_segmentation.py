"""Adversarial segmentation: a discriminator tells labels from what a network makes of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.layers.unet_blocks import Norm
from napari_tincture.training.adversarial import Game, adversarial
from napari_tincture.training.labels.labelling import Labelling, Target
from napari_tincture.training.labels.losses import SegmentationWeights
from napari_tincture.training.labels.segmenters import probabilities
from napari_tincture.training.labels.shown import shown_labels
from napari_tincture.training.objective import Batch, Losses, Published, Update, fixed
from napari_tincture.training.objectives import segmentation
from napari_tincture.training.objectives.segmentation import Segmentation, centre
from napari_tincture.training.sizes import Size, pick
from napari_tincture.training.together import together

Alternation = Literal["batch", "epoch"]
PUBLISHED = Published(
    title="Adversarial segmentation",
    data="paired",
    citation=(
        "Luc, Couprie, Chintala, Verbeek: Semantic segmentation using adversarial networks, NIPS "
        "workshop on adversarial training 2016"
    ),
    schedule={
        "optimiser": "adam", "lr": 1e-3, "lr_discriminators": 2e-4, "betas": (0.5, 0.999),
        "weight_decay": 0.0, "ema": 0.99, "keep": "best",
    },
    initialisation="none",
    labels=True,
    sampling=segmentation.PUBLISHED.sampling,
    augment=segmentation.PUBLISHED.augment,
)  # fmt: skip
NDF: Mapping[Size, int] = {"tiny": 16, "standard": 64, "large": 64}


@dataclass(frozen=True, slots=True)
class Weights(SegmentationWeights):
    """How much each loss counts; those of weight 0 are not computed. `gamma` is focal's γ.

    With `adversarial` 0 the discriminator learns to judge, and the segmentation does not heed it.
    """

    adversarial: float = 0.1


def parts(
    size: Size,
    in_channels: int = 3,
    out_channels: int = 3,
    encoder: Literal["unet", "resnet18", "resnet34", "vgg16_bn"] = "unet",
    padded: bool = True,
    norm: Norm = "batch",
    dropout: float = 0.1,
    residual: bool = False,
    attention: bool = False,
    n_layers: int = 3,
) -> dict[str, Part]:
    """The network of `segmentation`, and a PatchGAN that sees images and label maps.

    Parameters
    ----------
    encoder
        Contracting path: the U-Net's own, or a classifier's, for which users may have weights.
        The options below are those of the U-Net's own.
    padded
        False: convolutions without padding, as published; crops must be larger by what is lost.
    norm
        Normalisation after each convolution; the published network has none.
    dropout
        Probability of dropping a channel after the two deepest levels.
    residual, attention
        Residual blocks, and attention gates on the skips.
    n_layers
        Convolutions of the discriminator with stride 2; with 3 it judges patches of 70 pixels,
        with 2 of 34, with 1 of 16.
    """
    own = segmentation.parts(
        size, in_channels, out_channels, encoder, padded, norm, dropout, residual, attention
    )
    seen = {"in_channels": in_channels + out_channels, "ndf": pick(size, NDF)}
    return {**own, "discriminator": Part("patch", {**seen, "n_layers": n_layers, "norm": "batch"})}


def build(
    networks: Mapping[str, nn.Module],
    weights: Weights | None = None,
    target: Target = "classes",
    unlabelled: int = 0,
    classes: Sequence[Any] | None = None,
    parts_of: int | None = None,
    game: Game = "vanilla",
    mismatched: bool = True,
    alternation: Alternation = "batch",
    epoch: int = 0,
) -> AdversarialSegmentation:
    """Let "forward" learn from labels, and from "discriminator", which sees image and label map.

    Parameters
    ----------
    target, unlabelled, classes, parts_of
        As `segmentation` takes them.
    game
        "vanilla": cross-entropy; "lsgan": least squares; both of scores without a sigmoid.
    mismatched
        Show the discriminator images with the labels of other crops, too, as wrong ones. Without
        these it may tell labels from probabilities by how sure they are, not by the image, and
        its score says little of where a segmentation is right.
    alternation
        "batch": both networks learn from every batch. "epoch": by turns, the discriminator alone
        for an epoch, then the segmentation alone for one.
    epoch
        Steps in an epoch; 0: so many that there are as many crops as training pictures (planes).

    References
    ----------
    Luc et al. 2016, equation 1, with the adversarial term of the segmentation that does not
    saturate, as there; Isola et al., pix2pix, CVPR 2017 (order, and the discriminator's halved
    loss); Reed et al., Generative adversarial text to image synthesis, ICML 2016, algorithm 1
    (mismatched pairs).
    """
    labelling = Labelling.of(
        {"target": target, "unlabelled": unlabelled, "classes": classes or (), "parts_of": parts_of}
    )
    missing = [name for name in AdversarialSegmentation.parts if name not in networks]
    if missing:
        raise InputError(
            f"Adversarial segmentation needs the networks {AdversarialSegmentation.parts}; "
            f"missing {missing}."
        )
    if alternation not in get_args(Alternation) or epoch < 0:
        raise InputError(
            f"alternation={alternation!r} with epoch={epoch}: expected one of "
            f"{', '.join(get_args(Alternation))}, and epochs of at least 0 steps."
        )
    turns = epoch or 1 if alternation == "epoch" else 0
    return AdversarialSegmentation(
        networks, weights or Weights(), labelling, game, mismatched, turns
    )


class AdversarialSegmentation:
    """The discriminator D first, its loss halved, then the segmentation s.

    With images x, one-hot labels y, and L(D, 1) and L(D, 0) as `adversarial` has them:

    1. D lowers ("D_real" + "D_fake") / 2 = (L(D(x, y), 1) + L(D(x, s(x)), 0)) / 2; with labels y'
       of other crops, ("D_real" + ("D_fake" + "D_mismatched") / 2) / 2, the last L(D(x, y'), 0).
    2. s lowers its losses of labels plus "G_GAN" = w · L(D(x, s(x)), 1), w the weight
       `adversarial`.

    s(x) are probabilities: the softmax over classes (of maps of objects, sigmoids). Where a pixel
    has no label, or weight 0, both y and s(x) are shown as 0 to D; y' as it was shown with its own
    image. In either game D is best as p_y / (p_y + p_s), or p_y / (p_y + (p_s + p_y') / 2) with
    mismatched pairs: a vanilla D after a sigmoid, whose "G_GAN" is then −w · log of it. Learned by
    turns, a step has the losses of its turn alone. D learns to tell labels as they are given: of
    scribbles it sees little more than where they lie.
    """

    groups: Mapping[str, tuple[str, ...]] = {
        "generators": ("forward",),
        "discriminators": ("discriminator",),
    }
    parts = ("forward", "discriminator")

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        weights: Weights,
        labelling: Labelling,
        game: Game,
        mismatched: bool,
        turns: int,
    ) -> None:
        self.networks = {name: networks[name] for name in self.parts}
        self.segmentation = Segmentation(networks, weights, labelling, weights.adversarial > 0)
        self.weights, self.game, self.turns = weights, game, turns
        self.mismatched, self.steps = mismatched, 0

    def step(self, batch: Batch, update: Update) -> Losses:
        """Take one step, of both networks or of the one whose turn it is."""
        turn = self.steps // self.turns % 2 if self.turns else None
        self.steps += 1
        losses: dict[str, Tensor] = {}
        with torch.set_grad_enabled(turn != 0):
            logits, target, pixels = self.segmentation.seen(batch)
        image, real, fake = self._shown(batch, logits, target, pixels)
        if turn != 1:
            losses |= self._judge(image, real, fake.detach())
            wrong = [value for name, value in losses.items() if name != "D_real"]
            update("discriminators", (torch.stack(wrong).mean() + losses["D_real"]) / 2)
        if turn != 0:
            with fixed(self.networks["discriminator"]):
                own = self._of_labels(logits, target, pixels)
                if self.weights.adversarial:
                    own["G_GAN"] = self._convince(image, fake)
                update("generators", torch.stack([*own.values()]).sum())
            losses |= own
        return {name: loss.detach() for name, loss in losses.items()}

    def _shown(
        self, batch: Batch, logits: Tensor, target: Tensor, pixels: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Image, labels, and what the network makes of the image, as large as the last."""
        labelling = self.segmentation.labelling
        real, known = shown_labels(target, labelling, logits.shape[1])
        if pixels is not None:
            known = known * (pixels > 0)
        fake = probabilities(logits.float(), labelling)
        return centre(batch["a"], logits), real * known, fake * known

    def _of_labels(
        self, logits: Tensor, target: Tensor, pixels: Tensor | None
    ) -> dict[str, Tensor]:
        return self.segmentation.losses(logits, target, pixels) if self.weights.terms else {}

    def _judge(self, image: Tensor, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        shown = {"D_fake": fake, "D_real": real}
        if self.mismatched:
            # A crop alone has no other one: its labels turned by half a turn are nearly as good.
            shown["D_mismatched"] = real.roll(1, 0) if len(real) > 1 else real.flip(2, 3)
        pairs = [torch.cat([image, maps], dim=1) for maps in shown.values()]
        scores = together(self.networks["discriminator"], *pairs)
        return {
            name: adversarial(each, real=name == "D_real", game=self.game)
            for name, each in zip(shown, scores, strict=True)
        }

    def _convince(self, image: Tensor, fake: Tensor) -> Tensor:
        scores = self.networks["discriminator"](torch.cat([image, fake], dim=1))
        return self.weights.adversarial * adversarial(scores, real=True, game=self.game)

    def state_dict(self) -> dict[str, Any]:
        """How many steps were taken, which says whose turn it is."""
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.steps = int(state["steps"])
