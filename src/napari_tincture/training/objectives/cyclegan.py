"""CycleGAN: two generators, each other's inverse, from images that are no pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.training.adversarial import Game, adversarial
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
from napari_tincture.training.pool import ImagePool
from napari_tincture.training.sizes import Size, pick
from napari_tincture.training.together import together

PUBLISHED = Published(
    title="CycleGAN",
    data="unpaired",
    citation=(
        "Zhu et al., Unpaired image-to-image translation using cycle-consistent "
        "adversarial networks, ICCV 2017"
    ),
    schedule={"lr": 2e-4, "weight_decay": 0.0, **ADAM},
    resize=286,
)

PRESETS: Mapping[Size, Mapping[str, int]] = {
    "tiny": {"ngf": 16, "n_blocks": 6},
    "standard": {"ngf": 64, "n_blocks": 9},
    "large": {"ngf": 96, "n_blocks": 9},
}


def parts(
    size: Size = "standard", in_channels: int = 3, out_channels: int = 3, scales: int = 1
) -> dict[str, Part]:
    """Generators of residual blocks and PatchGANs, for `scales` sizes of the image."""
    options = pick(size, PRESETS)
    return cycle_parts("resnet_generator", options, in_channels, out_channels, scales)


def cycle_parts(
    generator: str, options: Mapping[str, Any], in_channels: int, out_channels: int, scales: int
) -> dict[str, Part]:
    """Two generators of one architecture, and a PatchGAN for each domain."""

    def translator(a: int, b: int) -> Part:
        return Part(generator, {"in_channels": a, "out_channels": b, **options})

    return {
        "forward": translator(in_channels, out_channels),
        "backward": translator(out_channels, in_channels),
        "discriminator": patch_part(out_channels, options["ngf"], scales),
        "discriminator_backward": patch_part(in_channels, options["ngf"], scales),
    }


def patch_part(in_channels: int, ndf: int, scales: int = 1) -> Part:
    """A PatchGAN, or from 2 scales on one for each of as many sizes of the image."""
    if scales == 1:
        return Part("patch", {"in_channels": in_channels, "ndf": ndf})
    return Part("multiscale_patch", {"in_channels": in_channels, "ndf": ndf, "scales": scales})


@dataclass(frozen=True, slots=True)
class Weights:
    """What the losses weigh, beside the adversarial ones.

    `cycle_a` and `cycle_b` are for x − backward(forward(x)) in either domain; `identity` is
    relative to them. `pair_l1` and `pair_features` act where a batch has registered pairs.
    """

    cycle_a: float = 10.0
    cycle_b: float = 10.0
    identity: float = 0.5
    pair_l1: float = 100.0
    pair_features: float = 10.0

    def __post_init__(self) -> None:
        check_weights(self)


def build(
    networks: Mapping[str, nn.Module],
    weights: Weights = Weights(),
    game: Game = "lsgan",
    pool_size: int = 50,
    seed: int = 0,
) -> CycleGAN:
    """Let four networks play: "forward", "backward", and a discriminator of what each makes.

    Parameters
    ----------
    pool_size, seed
        Of the image pools that discriminators learn from.

    References
    ----------
    Zhu et al., CycleGAN, ICCV 2017, equations 1 to 3, and section 5.2 for the identity loss.
    """
    missing = [name for name in CycleGAN.parts if name not in networks]
    if missing:
        raise InputError(f"CycleGAN needs the networks {CycleGAN.parts}; missing {missing}.")
    if len({id(networks[name]) for name in CycleGAN.parts}) < len(CycleGAN.parts):
        raise InputError("CycleGAN needs a network of its own for each part; two are the same one.")
    return CycleGAN(networks, weights, game, pool_size, seed)


class CycleGAN:
    """Generators first, then discriminators, whose loss is halved.

    Losses by their published names: "G_A" of the generator A → B, whose results "D_A" judges;
    "cycle_A" compares images of A, "idt_A" what the generator A → B makes of images of B.
    Batches may hold pairs: "pair_a", "pair_b" and "weight", the weights of their pixels.
    """

    groups: Mapping[str, tuple[str, ...]] = {
        "generators": ("forward", "backward"),
        "discriminators": ("discriminator", "discriminator_backward"),
    }
    parts = (*groups["generators"], *groups["discriminators"])

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        weights: Weights,
        game: Game,
        pool_size: int,
        seed: int,
    ) -> None:
        self.networks = {name: networks[name] for name in self.parts}
        self.weights, self.game = weights, game
        self._pools = {
            name: ImagePool(pool_size, seed + index)
            for index, name in enumerate(self.groups["discriminators"])
        }

    def step(self, batch: Batch, update: Update) -> Losses:
        """Take one step on "a" and "b"."""
        self._check(batch)
        with fixed(*(self.networks[name] for name in self.groups["discriminators"])):
            losses, fake_a, fake_b = self._translate(batch)
            update("generators", torch.stack(list(losses.values())).sum())
        judged = {
            "D_A": self._judge("discriminator", batch["b"], fake_b),
            "D_B": self._judge("discriminator_backward", batch["a"], fake_a),
        }
        update("discriminators", judged["D_A"] + judged["D_B"])
        return {name: loss.detach() for name, loss in {**losses, **judged}.items()}

    def _check(self, batch: Batch) -> None:
        a, b = batch["a"].shape[1], batch["b"].shape[1]
        if a != b and self.weights.identity:
            raise InputError(
                f"The identity loss compares images of one domain as input and output, but a has "
                f"{a} channels and b has {b}; set the weight identity to 0 to leave it out."
            )

    def _translate(self, batch: Batch) -> tuple[Losses, Tensor, Tensor]:
        forward, backward = self.networks["forward"], self.networks["backward"]
        a, b, pair = batch["a"], batch["b"], pair_of(batch)
        # In this order each generator sees its inputs as published.
        fake_b, *pair_b = together(forward, a, *([pair[0]] if pair else []))
        same = [a] if self.weights.identity else []
        rec_a, fake_a, *rest = together(backward, fake_b, b, *same, *([pair[1]] if pair else []))
        rec_b, *same_b = together(forward, fake_a, *([b] if same else []))
        losses = {
            "G_A": self._fool("discriminator", fake_b),
            "cycle_A": self.weights.cycle_a * l1(rec_a, a),
            "G_B": self._fool("discriminator_backward", fake_a),
            "cycle_B": self.weights.cycle_b * l1(rec_b, b),
        }
        if same:
            losses["idt_A"] = self.weights.cycle_b * self.weights.identity * l1(same_b[0], b)
            losses["idt_B"] = self.weights.cycle_a * self.weights.identity * l1(rest[0], a)
        if pair:
            losses |= self._compare("A", "discriminator", pair_b[0], pair[1], batch)
            losses |= self._compare("B", "discriminator_backward", rest[-1], pair[0], batch)
        return losses, fake_a, fake_b

    def _fool(self, judge: str, fake: Tensor) -> Tensor:
        return adversarial(self.networks[judge](fake), real=True, game=self.game)

    def _compare(
        self, name: str, judge: str, made: Tensor, target: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        judges = [self.networks[judge]]
        return pair_losses(name, made, target, judges, self.weights, batch.get("weight"))

    def _judge(self, name: str, real: Tensor, fake: Tensor) -> Tensor:
        scores, others = together(self.networks[name], real, self._pools[name].query(fake))
        told = adversarial(scores, real=True, game=self.game)
        return (told + adversarial(others, real=False, game=self.game)) / 2

    def state_dict(self) -> dict[str, Any]:
        """The image pools."""
        return {name: pool.state_dict() for name, pool in self._pools.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        for name, pool in self._pools.items():
            pool.load_state_dict(state[name])
