"""Small models with a way back, and with discriminators of every kind."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from napari_tincture.models import Channel, Model, ModelCard, Normalisation
from napari_tincture.models.card import Part
from napari_tincture.models.registry import build_network, room_of

RESNET = {"ngf": 2, "n_blocks": 1}
UGATIT = {"ch": 2, "n_res": 1, "img_size": 32, "light": True}
ATTENTION = {"ngf": 2, "n_blocks": 1}
PATCH = Part("patch", {"in_channels": 2, "ndf": 2, "n_layers": 2})
JUDGES: dict[str, dict[str, Part]] = {
    "patch": {"discriminator": PATCH, "discriminator_backward": PATCH},
    "pair": {"discriminator": Part("patch", {**PATCH.options, "in_channels": 4})},
    "multiscale": {
        "discriminator": Part("multiscale", {"in_channels": 2, "ndf": 2, "n_layers": 2}),
    },
    "multiscale_patch": {
        "discriminator": Part("multiscale_patch", {**PATCH.options, "scales": 2}),
    },
    "multiscale_ugatit": {
        "discriminator": Part(
            "multiscale_ugatit", {"in_channels": 2, "ndf": 2, "n_layers": 3, "scales": 2}
        ),
    },
    "ugatit": {
        name: Part("ugatit", {"in_channels": 2, "ndf": 2, "n_layers": n})
        for name, n in (
            ("discriminator", 4),
            ("discriminator_local", 3),
            ("discriminator_backward", 4),
            ("discriminator_local_backward", 3),
        )
    },
}
GENERATORS = {
    "resnet_generator": RESNET, "ugatit": UGATIT, "attention_generator": ATTENTION,
}  # fmt: skip
TANH = Normalisation("range", 0, 255, (-1, 1))


def two_way(judges: str = "patch", generator: str = "resnet_generator", **card: Any) -> Model:
    """A model of 2 channels in both domains, with random weights."""
    torch.manual_seed(5)
    options = {"in_channels": 2, "out_channels": 2, **GENERATORS[generator]}
    parts = {"backward": Part(generator, options), **JUDGES[judges]}
    network = build_network(generator, options)
    made: dict[str, nn.Module] = {
        name: build_network(part.architecture, part.options, room_of(name))
        for name, part in parts.items()
    }
    fields = {
        "name": f"{generator} {judges}",
        "task": "stain",
        "architecture": generator,
        "options": options,
        "inputs": (Channel("a0"), Channel("a1")),
        "outputs": (Channel("b0"), Channel("b1", colour="green")),
        "normalisation": TANH,
        "output_range": (-1.0, 1.0),
        "extras": dict(getattr(network, "extras", {})),
        "parts": parts,
    }
    return Model(network, ModelCard(**{**fields, **card}), made)


def noisy(back: bool = True) -> Model:
    """A model that takes a map of noise beside 2 channels, there and back."""
    torch.manual_seed(6)
    options = {
        "in_channels": 3, "out_channels": 2, "ngf": 2, "n_downsample_global": 1,
        "n_blocks_global": 1,
    }  # fmt: skip
    parts = {"backward": Part("bayesian_generator", options)} if back else {}
    made = {name: build_network(part.architecture, part.options) for name, part in parts.items()}
    card = ModelCard(
        name="noisy",
        task="stain",
        architecture="bayesian_generator",
        options=options,
        inputs=(Channel("a0"), Channel("a1"), Channel("z", source="noise")),
        outputs=(Channel("b0"), Channel("b1")),
        normalisation=TANH,
        output_range=(-1.0, 1.0),
        parts=parts,
    )
    return Model(build_network("bayesian_generator", options), card, made)
