"""Bayesian CycleGAN's checkpoints: a file per network, of both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tincture.models.card import Channel
from napari_tincture.models.checkpoints._generators import as_global, read_hourglass
from napari_tincture.models.checkpoints._judges import read_multiscale
from napari_tincture.models.checkpoints._kinds import Kind, channels, directed, made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tincture.models.card import Part
    from napari_tincture.models.checkpoints._found import Recognised, State, States

KIND = Kind(
    "bayesian_cyclegan",
    "Bayesian CycleGAN",
    "You et al., Bayesian cycle-consistent generative adversarial networks via marginalizing "
    "latent sampling, IEEE TNNLS 2021, arXiv 1811.07465.",
)
ROLES = {"forward": ("G_A", "G_B"), "discriminator": ("D_A", "D_B")}
ONE = {"forward": ("G",), "discriminator": ("D",)}
ENCODED = (
    "It was trained with an encoder, whose maps of random training images are its latent values; "
    "here they are drawn from N(0, 1)."
)


def recognise(states: States, given: Mapping[str, Any]) -> Recognised | None:
    """Recognise generators by the latent channel that they take beside the image's."""
    asked = given.get("family") == KIND.family
    if not _takes_one_more(states) or not (asked or has_latent_channel(states)):
        return None
    roles = ONE if "G" in states else ROLES
    found = directed(states, roles, read_generator, read_multiscale, given)
    if found is None:
        return None
    inputs = channels(found.parts["forward"].options["in_channels"] - 1)
    latent = Channel("latent", "a map of N(0, 1)", source="noise")
    notes = (ENCODED,) if {"E_A", "E_B"} & states.keys() else ()
    return made(KIND, found, {}, given, inputs=(*inputs, latent), notes=notes)


def read_generator(state: State) -> Part | None:
    """A stack of residual blocks with biases everywhere."""
    options = read_hourglass(state)
    return None if options is None else as_global(options, "bayesian_generator")


def has_latent_channel(states: States) -> bool:
    """Whether networks of two directions are Bayesian CycleGAN's rather than CycleGAN's."""
    judges = [states[role] for role in ("D_A", "D_B") if role in states]
    if "G" in states or any(read_multiscale(judge) is None for judge in judges):
        return False
    return _takes_one_more(states)


def _takes_one_more(states: States) -> bool:
    """Whether a generator takes one channel more than the other one, or itself, makes."""
    pair = [read_hourglass(states[role]) for role in ("G_A", "G_B", "G") if role in states]
    if not pair:
        return False
    first, other = pair[0], pair[-1]
    if first is None or other is None:
        return False
    return bool(first["in_channels"] == other["out_channels"] + 1)
