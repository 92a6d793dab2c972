"""U-GAT-IT: two generators and four discriminators, with class-activation attention in each.

Losses and order of updates are those of the published PyTorch implementation (Kim et al., ICLR
2020, arXiv 1907.10830, section 2.2), where the paper and its TensorFlow implementation differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.layers.layer_instance_norm import clip_rho
from napari_tincture.training.adversarial import adversarial
from napari_tincture.training.losses import l1
from napari_tincture.training.objective import (
    ADAM,
    Batch,
    Losses,
    Published,
    Update,
    check_weights,
    fixed,
)
from napari_tincture.training.pairs_loss import pair_losses, pair_of
from napari_tincture.training.together import together

Size = Literal["tiny", "standard", "large"]
PUBLISHED = Published(
    title="U-GAT-IT",
    data="unpaired",
    citation=(
        "Kim et al., U-GAT-IT: unsupervised generative attentional networks with adaptive "
        "layer-instance normalization, ICLR 2020"
    ),
    schedule={"lr": 1e-4, "weight_decay": 1e-4, **ADAM},
    resize=286,
    equal_channels=True,
    initialisation="none",
)

GENERATORS = ("forward", "backward")
JUDGES = {
    "A": ("discriminator_backward", "discriminator_local_backward"),
    "B": ("discriminator", "discriminator_local"),
}
"""Global and local discriminator of each domain's images."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the losses; `cam` is that of the generators' own classifiers.

    `pair_l1` and `pair_features` act where a batch has registered pairs.
    """

    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 10.0
    cam: float = 1000.0
    pair_l1: float = 100.0
    pair_features: float = 10.0

    def __post_init__(self) -> None:
        check_weights(self)


def parts(
    size: Size = "standard",
    in_channels: int = 3,
    out_channels: int = 3,
    img_size: int = 256,
    n_res: int | None = None,
    light: bool | None = None,
    scales: int = 1,
) -> dict[str, Part]:
    """The networks of a training.

    Parameters
    ----------
    size
        "tiny": 16 channels, light, for a CPU. "standard": as published, 64 channels and 4 + 4
        residual blocks, full. "large": the same with 6 + 6 blocks.
    img_size
        Side in pixels of the training images, a multiple of 4, at least 24.
    n_res, light
        Residual blocks of each half of a generator, and light generators, which take images of
        any size; where given, instead of what `size` says.
    scales
        Sizes of the image that a copy of each discriminator judges, 1 as published to 4.

    Raises
    ------
    InputError
        For an unknown size, images too small to judge, or domains of unequal channels.
    """
    if size not in get_args(Size):
        raise InputError(f"Unknown size {size!r}: choose one of {', '.join(get_args(Size))}.")
    if in_channels != out_channels:
        raise InputError(
            "U-GAT-IT shows each generator images of its own target domain, too, so both domains "
            f"have equally many channels; got {in_channels} and {out_channels}. Repeat or select "
            "channels, or choose another family."
        )
    ch = 16 if size == "tiny" else 64
    options = {
        "in_channels": in_channels,
        "out_channels": out_channels,
        "ch": ch,
        "n_res": (6 if size == "large" else 4) if n_res is None else n_res,
        "img_size": img_size,
        "light": size == "tiny" if light is None else light,
    }
    found = {name: Part("ugatit", options) for name in GENERATORS}
    for names in JUDGES.values():
        for name, n_layers in zip(names, _layers(img_size >> (scales - 1)), strict=True):
            judged = {"in_channels": in_channels, "ndf": ch, "n_layers": n_layers}
            found[name] = _judge_part(judged, scales)
    return found


def _judge_part(options: dict[str, int], scales: int) -> Part:
    if scales == 1:
        return Part("ugatit", options)
    return Part("multiscale_ugatit", {**options, "scales": scales})


def _layers(img_size: int) -> tuple[int, int]:
    """Layers of the global and the local discriminator: 7 and 5, fewer for small images."""
    if img_size < 24:
        raise InputError(
            f"U-GAT-IT learns from images of at least 24 pixels, got {img_size} on the smallest "
            "scale. Take larger crops, or fewer scales."
        )
    most = 2 + (img_size // 3).bit_length() - 1
    return min(7, most), min(5, most - 1)


def build(networks: Mapping[str, nn.Module], weights: Weights = Weights()) -> UgatitObjective:
    """Let the networks that `parts` names learn together."""
    return UgatitObjective(networks, weights)


@dataclass(frozen=True, slots=True)
class _Made:
    """What the generators make of a batch, by the domain that the images are in."""

    real: Mapping[str, Tensor]
    fake: Mapping[str, Tensor]
    identity: Mapping[str, Tensor]
    fake_logits: Mapping[str, Tensor]
    identity_logits: Mapping[str, Tensor]


@dataclass(frozen=True)
class UgatitObjective:
    """Discriminators learn first, then generators; see `napari_tincture.training.objective`."""

    networks: Mapping[str, nn.Module]
    weights: Weights = field(default_factory=Weights)
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "generators": GENERATORS,
        "discriminators": (*JUDGES["A"], *JUDGES["B"]),
    }

    def step(self, batch: Batch, update: Update) -> Losses:
        """Take one step on images "a" and "b", (b, c, y, x) of equal sizes in [-1, 1].

        Returns
        -------
        dict
            Weighted scalars. "D_loss_A", "D_loss_B": of the discriminators of each domain;
            "Discriminator_loss": both. "G_ad_loss_A", "G_recon_loss_A", "G_identity_loss_A",
            "G_cam_loss_A", the same for B: of the generator that makes images of that domain,
            but "G_recon_loss_A" is the round trip's that begins with A; "Generator_loss": all.
            With registered "pair_a" and "pair_b", whose pixels "weight" weighs, also "pair_A" and
            "pair_features_A" of what A → B makes, "pair_B" and "pair_features_B" of the other.
        """
        # The generators do not change while the discriminators learn: their images serve both.
        made = self._make(batch["a"], batch["b"])
        judged = {f"D_loss_{domain}": self._judge(domain, made) for domain in JUDGES}
        discriminators = torch.stack([*judged.values()]).sum()
        update("discriminators", discriminators)
        with fixed(*(self.networks[name] for name in self.groups["discriminators"])):
            terms = self._terms(made, batch)
            generators = torch.stack([*terms.values()]).sum()
            update("generators", generators)
        for name in GENERATORS:
            clip_rho(self.networks[name])
        totals = {"Discriminator_loss": discriminators, "Generator_loss": generators}
        return {name: loss.detach() for name, loss in {**judged, **terms, **totals}.items()}

    def state_dict(self) -> dict[str, Any]:
        """Nothing but the weights is remembered."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing but the weights is remembered."""

    def _make(self, a: Tensor, b: Tensor) -> _Made:
        fake_b, identity_b, logits_b = self._translated("forward", a, b)
        fake_a, identity_a, logits_a = self._translated("backward", b, a)
        return _Made(
            {"A": a, "B": b},
            {"A": fake_a, "B": fake_b},
            {"A": identity_a, "B": identity_b},
            {"A": logits_a[0], "B": logits_b[0]},
            {"A": logits_a[1], "B": logits_b[1]},
        )

    def _translated(
        self, name: str, source: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Images and logits of the source domain and of the target's, which stays what it is."""
        if source.shape != target.shape:
            raise InputError(
                f"Expected images of equal sizes in both domains, got {tuple(source.shape)} and "
                f"{tuple(target.shape)}. Use crops of one size."
            )
        # No norm looks at more than one image: one pass for both.
        known = self.networks[name].detailed(torch.cat([source, target]))  # type: ignore[operator]
        fake, identity = known["image"].chunk(2)
        return fake, identity, known["cam_logit"].chunk(2)

    def _judge(self, domain: str, made: _Made) -> Tensor:
        losses = []
        for name in JUDGES[domain]:
            losses += self._opinions(name, made.real[domain], real=True)
            losses += self._opinions(name, made.fake[domain].detach(), real=False)
        return self.weights.adversarial * torch.stack(losses).sum()

    def _opinions(self, name: str, images: Tensor, *, real: bool) -> list[Tensor]:
        known = self.networks[name].detailed(images)  # type: ignore[operator]
        return [adversarial(known[key], real) for key in ("scores", "cam_logit")]

    def _terms(self, made: _Made, batch: Batch) -> Losses:
        pair = pair_of(batch)
        halves = {"A": [], "B": []} if pair is None else {"A": [pair[1]], "B": [pair[0]]}
        back, *made_a = together(self.networks["backward"], made.fake["B"], *halves["A"])
        again, *made_b = together(self.networks["forward"], made.fake["A"], *halves["B"])
        terms: Losses = {}
        for domain, returned in (("A", back), ("B", again)):
            terms |= self._terms_of(domain, made, returned)
        if pair is not None:
            pixels = batch.get("weight")
            for name, domain, result, target in (
                ("A", "B", made_b[0], pair[1]), ("B", "A", made_a[0], pair[0])
            ):  # fmt: skip
                judges = [self.networks[judge] for judge in JUDGES[domain]]
                terms |= pair_losses(name, result, target, judges, self.weights, pixels)
        return terms

    def _terms_of(self, domain: str, made: _Made, returned: Tensor) -> Losses:
        """Losses of one domain's images; those of `returned` went to the other and came back."""
        fakes = (self._opinions(n, made.fake[domain], real=True) for n in JUDGES[domain])
        opinions = torch.stack([loss for losses in fakes for loss in losses]).sum()
        real, weights = made.real[domain], self.weights
        cam = _cam_loss(made.fake_logits[domain], made.identity_logits[domain])
        return {
            f"G_ad_loss_{domain}": weights.adversarial * opinions,
            f"G_recon_loss_{domain}": weights.cycle * l1(returned, real),
            f"G_identity_loss_{domain}": weights.identity * l1(made.identity[domain], real),
            f"G_cam_loss_{domain}": weights.cam * cam,
        }


def _cam_loss(translated: Tensor, identity: Tensor) -> Tensor:
    """The classifiers of a generator tell its source domain (1) from its target (0)."""
    return binary_cross_entropy_with_logits(
        translated, torch.ones_like(translated)
    ) + binary_cross_entropy_with_logits(identity, torch.zeros_like(identity))
