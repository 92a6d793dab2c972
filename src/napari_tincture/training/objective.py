"""What a family learns from, apart from how a training is run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from torch import Tensor, nn

from napari_tincture.by_name import own_modules
from napari_tincture.errors import InputError

Batch = Mapping[str, Tensor]
"""Images by domain: "a" and "b", (b, c, y, x) float32 as the networks take them."""
Losses = dict[str, Tensor]
"""Scalars without gradient, by their published names."""
Update = Callable[[str, Tensor], None]
"""Lower a loss: backpropagate it, and step the weights of a group, and of no other."""
ROOM = "napari_tincture.training.objectives"
ADAM: Mapping[str, Any] = {
    "optimiser": "adam", "betas": (0.5, 0.999), "warmup": 0, "clip": 0.0, "decay": "linear",
}  # fmt: skip
"""What published adversarial trainings share (Radford et al. 2016, DCGAN)."""


@dataclass(frozen=True, slots=True)
class Published:
    """How a family was trained by its authors.

    Attributes
    ----------
    title
        What people call it.
    data
        "unpaired" images of two domains, "paired" ones, or "images" of one domain, which are
        made of themselves.
    citation
        Where it was published.
    schedule
        Fields of `Schedule`, but the number of steps.
    flips
        Whether crops are mirrored left to right at random.
    resize
        Side in pixels that images of the crop's size are enlarged to before crops of 256 pixels
        are cut; 0: they are not.
    crops
        How many times as large as other families' crops are.
    equal_channels
        Whether both domains need equally many.
    noise
        Channels of noise that generators take after those of the image.
    initialisation
        How first weights are drawn, see `initialise`; "none" leaves torch's own.
    labels
        Whether "b" of the pairs are label images, see `labels.pictures`.
    synthesizes
        Whether networks lead from labels "b" to images "a", and not the other way.
    denoises
        Whether the network is a denoiser.
    sampling, augment
        Fields of `Sampling` and `Augment` that are usual.
    """

    title: str
    data: Literal["unpaired", "paired", "images"]
    citation: str
    schedule: Mapping[str, Any]
    flips: bool = True
    resize: int = 0
    crops: int = 1
    equal_channels: bool = False
    noise: int = 0
    initialisation: str = "normal"
    labels: bool = False
    synthesizes: bool = False
    denoises: bool = False
    sampling: Mapping[str, Any] = field(default_factory=dict)
    augment: Mapping[str, Any] = field(default_factory=dict)


class Objective(Protocol):
    """Networks that learn together, and one step of their learning."""

    networks: Mapping[str, nn.Module]
    """By the names of a card's parts: "forward", "backward", "discriminator", …"""
    groups: Mapping[str, tuple[str, ...]]
    """Names of the networks whose weights one optimiser steps: "generators", "discriminators"."""

    def step(self, batch: Batch, update: Update) -> Losses:
        """Take one step, as published; every loss is weighted as it enters the sum."""

    def state_dict(self) -> dict[str, Any]:
        """What it remembers beside the weights, such as an image pool: tensors and plain values."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave; tensors may have come to another device."""


def objective_names() -> tuple[str, ...]:
    """Names of all families, sorted."""
    return tuple(sorted(own_modules(ROOM, frozenset())))


def find_objective(name: str) -> Any:
    """The file of a family.

    ``PUBLISHED`` says how it was trained, ``parts`` names its networks, ``Weights`` weighs its
    losses, ``build`` lets networks learn together.

    Raises
    ------
    InputError
        If there is none; the message lists those there are.
    """
    if name not in objective_names():
        raise InputError(f"Unknown family {name!r}; known are {', '.join(objective_names())}.")
    return importlib.import_module(f"{ROOM}.{name}")


def check_weights(weights: Any) -> None:
    """Refuse a dataclass of loss weights if one is negative or no number."""
    negative = {key: value for key, value in asdict(weights).items() if not value >= 0}
    if negative:
        raise InputError(f"Loss weights are 0 or more, got {negative}.")


@contextmanager
def fixed(*networks: nn.Module) -> Iterator[None]:
    """Compute no gradients of these networks' weights; gradients still pass through them."""
    weights = [p for network in networks for p in network.parameters() if p.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
