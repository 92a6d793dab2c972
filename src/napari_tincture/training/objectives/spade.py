"""SPADE: images of label maps, judged on several scales, in a style if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.encoders.spade_style import sampled
from napari_tincture.models.features.vgg import Vgg19
from napari_tincture.models.label_maps import instance_edges, one_hot
from napari_tincture.models.networks.spade import DOUBLINGS, SpadeGenerator
from napari_tincture.training.adversarial import hinge, hinge_fooled
from napari_tincture.training.labels.labelling import Labelling
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
from napari_tincture.training.scales import Judgement, feature_differences, scores_of
from napari_tincture.training.sizes import Size, pick
from napari_tincture.training.together import together

PUBLISHED = Published(
    title="SPADE",
    data="paired",
    citation=(
        "Park et al., Semantic image synthesis with spatially-adaptive normalization, CVPR 2019"
    ),
    schedule={
        **ADAM, "lr": 1e-4, "lr_discriminators": 4e-4, "betas": (0.0, 0.9), "weight_decay": 0.0,
        "ema": 0.0,
    },
    initialisation="xavier",
    labels=True,
    synthesizes=True,
    # Batch norm takes its statistics over all of them.
    sampling={"batch": 4, "foreground": 0.8},
)  # fmt: skip

GENERATORS: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"ngf": 8, "hidden": 32},
    "standard": {"ngf": 64, "hidden": 128},
    "large": {"ngf": 64, "hidden": 128, "num_upsampling_layers": "more"},
}
DISCRIMINATORS: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"ndf": 16, "num_D": 2},
    "standard": {"ndf": 64, "num_D": 2},
    "large": {"ndf": 64, "num_D": 3},
}
ENCODERS: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"ngf": 8, "n_layers": 5},
    "standard": {"ngf": 64, "n_layers": 6},
    "large": {"ngf": 64, "n_layers": 6},
}


def parts(
    size: Size = "standard",
    in_channels: int = 3,
    out_channels: int = 3,
    norm: Literal["batch", "instance"] = "batch",
    use_vae: bool = False,
    z_dim: int = 256,
) -> dict[str, Part]:
    """A generator and its discriminators; with `use_vae` an encoder of styles, too.

    Parameters
    ----------
    in_channels, out_channels
        Number of classes, and channels of the images.
    norm
        What the label map modulates; instance norm learns from batches of one, too, but knows no
        style.
    use_vae, z_dim
        Let an encoder say in so many numbers how an image looks, apart from what it shows, so that
        images can be made in the style of others. A style is one of the whole image, whatever its
        size: the generator's first map has one pixel.
    """
    own = {**pick(size, GENERATORS), "norm": norm}
    generator: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels, **own}
    both = {"in_channels": in_channels + out_channels, **pick(size, DISCRIMINATORS)}
    if not use_vae:
        return {"forward": Part("spade", generator), "discriminator": Part("spade", both)}
    if norm == "instance":
        raise InputError(
            "Instance norm takes away what is the same everywhere, such as a style. Choose "
            "norm='batch', or use_vae=False."
        )
    stride = 2 ** DOUBLINGS[own.get("num_upsampling_layers", "normal")]
    generator |= {"use_vae": True, "z_dim": z_dim, "crop_size": stride}
    encoder = {"in_channels": out_channels, "z_dim": z_dim, **pick(size, ENCODERS)}
    return {
        "forward": Part("spade", generator),
        "discriminator": Part("spade", both),
        "encoder": Part("spade_style", encoder),
    }


@dataclass(frozen=True, slots=True)
class Weights:
    """What the losses weigh, beside the adversarial one; `vgg` where there is a VGG.

    `kld`: of how far the styles of images are from a standard normal distribution.
    """

    features: float = 10.0
    vgg: float = 10.0
    kld: float = 0.05

    def __post_init__(self) -> None:
        check_weights(self)


def build(
    networks: Mapping[str, nn.Module],
    weights: Weights = Weights(),
    target: Literal["classes"] = "classes",
    unlabelled: int = 0,
    classes: Sequence[Any] | None = None,
    vgg: Vgg19 | None = None,
) -> Spade:
    """Let "forward" and "discriminator" play, and "encoder" give styles if it is there.

    Parameters
    ----------
    target, unlabelled, classes
        As `segmentation` takes them; only classes can be learned from.
    vgg
        Adds the perceptual loss of colour images.

    References
    ----------
    Park et al., CVPR 2019, section 3 and appendix A; Lim and Ye, Geometric GAN, 2017 (hinge
    loss); Heusel et al. 2017 (two time scales).
    """
    labelling = Labelling.of({"target": target, "unlabelled": unlabelled, "classes": classes or ()})
    if labelling.target != "classes":
        raise InputError(f"SPADE learns from classes, not from target={target!r}.")
    missing = [name for name in ("forward", "discriminator") if name not in networks]
    if missing:
        raise InputError(f"SPADE needs the networks forward and discriminator, not {missing}.")
    generator = networks["forward"]
    if not isinstance(generator, SpadeGenerator):
        raise InputError(f"SPADE's generator is of that kind, got {type(generator).__name__}.")
    if (generator.z_dim is None) == ("encoder" in networks):
        raise InputError(
            "A style needs both an encoder and a generator that takes one (use_vae=True), or "
            "neither."
        )
    return Spade(networks, weights, len(labelling.classes), vgg)


class Spade:
    """The generator's step, then the discriminator's, which sees what the new generator makes.

    Losses by their published names, weighted: "GAN", "GAN_Feat", "VGG", "KLD", "D_Fake", "D_real".
    Batches hold images "a" and registered numbers of classes "b", (b, 1, y, x), -1 where none is
    known: there, no class is shown. A batch's "instances" (b, 1, y, x) are shown as edges, for a
    generator with a channel more than there are classes. Where pixels of a "weight" (b, 1, y, x)
    are 0, nothing is learned from "a".
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        weights: Weights,
        classes: int,
        vgg: Vgg19 | None,
    ) -> None:
        learners = tuple(name for name in ("forward", "encoder") if name in networks)
        self.groups: Mapping[str, tuple[str, ...]] = {
            "generators": learners,
            "discriminators": ("discriminator",),
        }
        self.networks = {name: networks[name] for name in (*learners, "discriminator")}
        self.weights, self.classes, self.vgg = weights, classes, vgg

    def step(self, batch: Batch, update: Update) -> Losses:
        """Take one step on registered images "a" and classes "b"."""
        shown = self.shown(batch)
        judge = self.networks["discriminator"]
        z, losses = self._style(batch["a"])
        fake = self.networks["forward"](shown, z)
        with fixed(judge):
            scores, wanted, real = self._judged(batch, shown, fake)
            losses |= self._fool(scores, wanted) | self._compare(fake, real)
            update("generators", torch.stack(list(losses.values())).sum())
        with torch.no_grad():
            fake = self.networks["forward"](shown, self._style(batch["a"])[0])
        scores, wanted, _ = self._judged(batch, shown, fake)
        judged = {
            "D_Fake": hinge(scores_of(scores), real=False),
            "D_real": hinge(scores_of(wanted), real=True),
        }
        update("discriminators", judged["D_Fake"] + judged["D_real"])
        return {name: loss.detach() for name, loss in (losses | judged).items()}

    def shown(self, batch: Batch) -> Tensor:
        """What the generator sees of a batch, (b, classes or + 1, y, x)."""
        image, labels = batch["a"], batch["b"]
        if labels.shape != (len(image), 1, *image.shape[2:]):
            raise InputError(
                f"Expected classes {(len(image), 1, *image.shape[2:])} for images "
                f"{tuple(image.shape)}, got {tuple(labels.shape)}."
            )
        generator, edges = self.networks["forward"], "instances" in batch
        classes = int(generator.in_channels) - edges  # type: ignore[arg-type]
        if self.classes not in (0, classes):
            raise InputError(
                f"There are {self.classes} classes, but the generator takes {classes}"
                f"{' and edges' if edges else ''}. Give it as many channels as there are classes."
            )
        maps = one_hot(labels, classes)
        return torch.cat([maps, instance_edges(batch["instances"])], 1) if edges else maps

    def _style(self, image: Tensor) -> tuple[Tensor | None, Losses]:
        if "encoder" not in self.networks:
            return None, {}
        mean, log_variance = self.networks["encoder"](image)
        z = sampled(mean, log_variance)
        if not self.weights.kld:
            return z, {}
        return z, {"KLD": self.weights.kld * divergence(mean, log_variance)}

    def _judged(
        self, batch: Batch, shown: Tensor, fake: Tensor
    ) -> tuple[Judgement, Judgement, Tensor]:
        """What is said of fakes and of real images, and these."""
        real = trusted(batch["a"], fake, batch.get("weight"))
        pairs = (torch.cat([shown, image], 1) for image in (fake, real))
        scores, wanted = together(self.networks["discriminator"], *pairs)
        return scores, wanted, real

    def _fool(self, scores: Judgement, wanted: Judgement) -> Losses:
        losses = {"GAN": hinge_fooled(scores_of(scores))}
        if self.weights.features:
            sums = [torch.stack(maps).sum() for maps in feature_differences(scores, wanted)]
            losses["GAN_Feat"] = self.weights.features * torch.stack(sums).mean()
        return losses

    def _compare(self, fake: Tensor, real: Tensor) -> Losses:
        if self.vgg is None or not self.weights.vgg:
            return {}
        return {"VGG": self.weights.vgg * perceptual(self.vgg, fake, real)}

    def state_dict(self) -> dict[str, Any]:
        """Nothing: no draw and no image outlives a step."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of normal distributions (b, n) from the standard one.

    Summed over both axes, as published (Kingma and Welling 2014, appendix B).
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
