"""Bayesian CycleGAN: CycleGAN's game, averaged over latent values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.training.adversarial import Game
from napari_tincture.training.latents import Draw, Memory, Normal
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
from napari_tincture.training.scales import Judgement, summed
from napari_tincture.training.sizes import Size, pick
from napari_tincture.training.together import together

PUBLISHED = Published(
    title="Bayesian CycleGAN",
    data="unpaired",
    citation=(
        "You et al., Bayesian cycle-consistent generative adversarial networks via "
        "marginalizing latent sampling, IEEE TNNLS 2021"
    ),
    schedule={"lr": 2e-4, "weight_decay": 0.0, **ADAM},
    noise=1,
)

PRESETS: Mapping[Size, Mapping[str, int]] = {
    "tiny": {"ngf": 16, "n_downsample_global": 2, "n_blocks_global": 6},
    "standard": {"ngf": 32, "n_downsample_global": 2, "n_blocks_global": 6},
    "large": {"ngf": 64, "n_downsample_global": 3, "n_blocks_global": 9},
}
ROLES = ("forward", "backward", "discriminator", "discriminator_backward")
ENCODERS = ("encoder", "encoder_backward")


def parts(
    size: Size = "standard",
    in_channels: int = 3,
    out_channels: int = 3,
    scales: int = 1,
    encoder: bool = False,
) -> dict[str, Part]:
    """Generators with a latent channel, and discriminators of `scales` sizes of the image.

    Parameters
    ----------
    encoder
        Take latent values from encoders instead of drawing them.
    """
    options = pick(size, PRESETS)

    def translator(a: int, b: int) -> Part:
        channels = {"in_channels": a + 1, "out_channels": b}
        return Part("bayesian_generator", {**channels, **options})

    def judge(channels: int) -> Part:
        shape = {"ndf": 2 * options["ngf"], "num_D": scales, "features": False}
        return Part("multiscale", {"in_channels": channels, **shape})

    found = {
        "forward": translator(in_channels, out_channels),
        "backward": translator(out_channels, in_channels),
        "discriminator": judge(out_channels),
        "discriminator_backward": judge(in_channels),
    }
    if encoder:
        for name, channels in zip(ENCODERS, (out_channels, in_channels), strict=True):
            found[name] = Part("bayesian", {"in_channels": channels})
    return found


@dataclass(frozen=True, slots=True)
class Weights:
    """What the losses weigh, beside the adversarial ones of translated images.

    `cycle` is for x − backward(forward(x)) in either domain, `gamma` for the adversarial losses
    of what comes back, `prior` for the Gaussian prior of weights, `kl` for encoders. `pair_l1` and
    `pair_features` act where a batch has registered pairs.
    """

    cycle: float = 10.0
    gamma: float = 0.5
    prior: float = 1.0
    kl: float = 0.1
    pair_l1: float = 100.0
    pair_features: float = 10.0

    def __post_init__(self) -> None:
        check_weights(self)


def build(
    networks: Mapping[str, nn.Module],
    weights: Weights = Weights(),
    game: Game = "lsgan",
    mc_x: int = 3,
    mc_y: int = 3,
    seed: int = 0,
    draw: Draw | None = None,
) -> BayesianCycleGAN:
    """Let four networks play: "forward", "backward", and a discriminator of what each makes.

    Parameters
    ----------
    networks
        May hold "encoder" and "encoder_backward" as well, whose maps of random training images
        are the latent values of "forward" and "backward", from the domain that each makes.
    mc_x, mc_y
        Monte Carlo samples per step: latent maps for what "backward" and "forward" make.
    seed, draw
        Of the draws, and what to draw by instead of N(0, 1).

    References
    ----------
    You et al., Bayesian cycle-consistent generative adversarial networks via marginalizing
    latent sampling, IEEE TNNLS 2021, arXiv 1811.07465.
    """
    missing = [name for name in ROLES if name not in networks]
    if missing:
        raise InputError(f"Bayesian CycleGAN needs the networks {ROLES}; missing {missing}.")
    if sum(name in networks for name in ENCODERS) == 1:
        raise InputError(f"Bayesian CycleGAN needs both encoders, {ENCODERS}, or none.")
    if min(mc_x, mc_y) < 1:
        raise InputError(f"Expected 1 Monte Carlo sample or more, got {mc_x} and {mc_y}.")
    return BayesianCycleGAN(networks, weights, game, {"x": mc_x, "y": mc_y}, seed, draw)


class BayesianCycleGAN:
    """Generators first, then discriminators.

    Losses by their published names: "G_A" of the generator A → B, whose results "D_A" judges;
    "cyc_G_A" compares images of A. Adversarial losses are averages over samples; cycle losses,
    and those of real images, are sums, as published. So is the prior: that of the generator
    A → B is part of "G_A" and of "G_B", and that of the other of neither.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        weights: Weights,
        game: Game,
        samples: Mapping[str, int],
        seed: int,
        draw: Draw | None,
    ) -> None:
        encoders = tuple(name for name in ENCODERS if name in networks)
        self.groups: Mapping[str, tuple[str, ...]] = {
            "generators": ("forward", "backward", *encoders),
            "discriminators": ("discriminator", "discriminator_backward"),
        }
        self.networks = {name: networks[name] for name in (*ROLES, *encoders)}
        self.weights, self.game, self.samples = weights, game, samples
        self._normal = Normal(seed)
        self._draw = draw or self._normal
        self._memories = {"x": Memory(seed=seed + 1), "y": Memory(seed=seed + 2)}

    def step(self, batch: Batch, update: Update) -> Losses:
        """Take one step on "a" and "b", as many of one as of the other, and of one size."""
        a, b = batch["a"].shape, batch["b"].shape
        if (a[0], a[2:]) != (b[0], b[2:]):
            raise InputError(f"Expected as many images of one size, got {tuple(a)} and {tuple(b)}.")
        judges = self.groups["discriminators"]
        with fixed(*(self.networks[name] for name in judges)):
            losses, made = self._translate(batch)
            update("generators", torch.stack(list(losses.values())).sum())
        judged = {
            "D_A": self._judge(judges[0], batch["b"], *made["b"], self.samples["y"]),
            "D_B": self._judge(judges[1], batch["a"], *made["a"], self.samples["x"]),
        }
        update("discriminators", judged["D_A"] + judged["D_B"])
        return {name: loss.detach() for name, loss in {**losses, **judged}.items()}

    def _translate(self, batch: Batch) -> tuple[Losses, dict[str, tuple[Tensor, Tensor]]]:
        forward, backward = self.networks["forward"], self.networks["backward"]
        a, b = batch["a"], batch["b"]
        (z_x, kl_x), (z_y, kl_y) = self._latents("x", a, b), self._latents("y", b, a)
        fake_b, fake_a = forward(_join(a, z_y)), backward(_join(b, z_x))
        # The cycle reuses the last latent.
        rec_a = backward(_join(fake_b, z_x[-len(b) :]))
        rec_b = forward(_join(fake_a, z_y[-len(a) :]))
        judges = [self.networks[name] for name in self.groups["discriminators"]]
        # Without the second loss nobody judges what comes back.
        second_b, second_a = ([rec_b], [rec_a]) if self.weights.gamma else ([], [])
        told_b, *back_b = together(judges[0], fake_b, *second_b)
        told_a, *back_a = together(judges[1], fake_a, *second_a)
        prior = self._prior("forward")
        losses = {
            "G_A": self._told([told_b, *back_a], real=True) + prior,
            "cyc_G_A": self._return(rec_a, a, "y"),
            "G_B": self._told([told_a, *back_b], real=True) + prior,
            "cyc_G_B": self._return(rec_b, b, "x"),
        }
        if kl_x is not None and kl_y is not None:
            losses |= {"kl_A": self.weights.kl * kl_y, "kl_B": self.weights.kl * kl_x}
        losses |= self._compare(batch, z_y[-1:], z_x[-1:])
        return losses, {"a": (fake_a, rec_a), "b": (fake_b, rec_b)}

    def _compare(self, batch: Batch, z_y: Tensor, z_x: Tensor) -> Losses:
        """Losses of registered pairs, if there are any, with the latent that the cycle takes."""
        pair = pair_of(batch)
        if pair is None:
            return {}
        a, b = pair
        losses: Losses = {}
        for name, network, judge, source, z, target in (
            ("A", "forward", "discriminator", a, z_y, b),
            ("B", "backward", "discriminator_backward", b, z_x, a),
        ):
            made = self.networks[network](_join(source, z))
            judges, pixels = [self.networks[judge]], batch.get("weight")
            losses |= pair_losses(name, made, target, judges, self.weights, pixels)
        return losses

    def _latents(self, domain: str, own: Tensor, other: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latent maps (samples · b, 1, y, x) for making images of a domain, and an encoder's KL."""
        count = self.samples[domain] * len(other)
        name = ENCODERS[0] if domain == "y" else ENCODERS[1]
        encoder: Any = self.networks.get(name)
        if encoder is None:
            return self._draw(domain, (count, 1, *other.shape[2:])).to(other), None
        found = encoder.detailed(self._memories[domain].pick(own, count))
        return found["image"], divergence(found["mean"], found["log_variance"])

    def _told(self, judgements: list[Judgement], real: bool) -> Tensor:
        """Of what was translated, and with weight gamma of what came back."""
        terms = zip((1.0, self.weights.gamma), judgements, strict=False)
        losses = [weight * summed(scores, real, self.game) for weight, scores in terms]
        return torch.stack(losses).sum()

    def _return(self, back: Tensor, image: Tensor, domain: str) -> Tensor:
        count = self.samples[domain]
        return self.weights.cycle * count * l1(back, image.repeat(count, 1, 1, 1))

    def _judge(self, name: str, real: Tensor, fake: Tensor, back: Tensor, count: int) -> Tensor:
        second = [back.detach()] if self.weights.gamma else []
        scores, *others = together(self.networks[name], real, fake.detach(), *second)
        told = count * (1 + self.weights.gamma) * summed(scores, real=True, game=self.game)
        return (told + self._told(others, real=False)) / 2 + self._prior(name)

    def _prior(self, name: str) -> Tensor:
        squares = [weight.square().mean() for weight in self.networks[name].parameters()]
        return self.weights.prior * torch.stack(squares).sum()

    def state_dict(self) -> dict[str, Any]:
        """Where the draws are, and images that encoders pick from."""
        memories = {name: memory.state_dict() for name, memory in self._memories.items()}
        return {"normal": self._normal.state_dict(), **memories}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self._normal.load_state_dict(state["normal"])
        for name, memory in self._memories.items():
            memory.load_state_dict(state[name])


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence from N(0, 1), averaged (Kingma and Welling 2014, appendix B)."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()


def _join(images: Tensor, latents: Tensor) -> Tensor:
    """Images with latent channels behind; the shorter of both batches is repeated."""
    count = max(len(images), len(latents))
    both = (tensor.repeat(count // len(tensor), 1, 1, 1) for tensor in (images, latents))
    return torch.cat(list(both), 1)
