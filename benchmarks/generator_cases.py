"""Every architecture that is found by its name, at a width and on an image that suit it."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import torch
from torch import nn

from napari_tincture.models import Channel, Model, ModelCard, Normalisation
from napari_tincture.models.registry import architecture_names, build_network, find_build

Result = dict[str, Any]
FIELD = (1920, 2560)
"""A whole field of a common microscope camera, y × x."""
WIDTH = 8
"""Channels of the first convolution; published networks have 32 or 64."""
UNET_WIDTH = 32
"""The same of U-Nets, whose other layers are cheap: reading the image must not count for much."""
OWN: dict[str, list[tuple[str, dict[str, Any], tuple[int, int]]]] = {
    "coarse_to_fine": [
        ("coarse_to_fine", {"ngf": WIDTH, "inner_options": {"ngf": WIDTH}}, (2048, 2048))
    ],
    "laplacian_translator": [("laplacian_translator", {"width": 2 * WIDTH}, (2048, 2048))],
    "pix2pixhd": [
        ("pix2pixhd global", {"ngf": WIDTH}, (2048, 2048)),
        ("pix2pixhd local", {"ngf": WIDTH, "netG": "local"}, (4096, 4096)),
    ],
    "ugatit": [
        ("ugatit light", {"ch": WIDTH, "light": True}, (2048, 2048)),
        ("ugatit full, held", {"ch": WIDTH}, FIELD),
    ],
    "unet": [("unet", {"width": UNET_WIDTH, "padded": True, "norm": "batch"}, (2048, 2048))],
    "unet_generator": [
        ("unet_128", {"ngf": UNET_WIDTH, "num_downs": 7}, (2048, 2048)),
        ("unet_256", {"ngf": UNET_WIDTH}, FIELD),
        ("unet_256", {"ngf": UNET_WIDTH}, (4096, 4096)),
        ("unet_256, instance norm", {"ngf": UNET_WIDTH, "norm": "instance"}, (4096, 4096)),
    ],
}
"""Title, options and size of the image; others run with `ngf` alone, or their smallest options."""
WIDTHS = ("ngf", "ch", "width", "inner_options")
COLOUR = tuple(Channel(name) for name in ("red", "green", "blue"))


def cases() -> list[Result]:
    """Every architecture that is found by its name."""
    return [
        {"title": title, "architecture": name, "options": options, "size": list(size)}
        for name in architecture_names()
        for title, options, size in OWN.get(name, [(name, _options(name), (2048, 2048))])
    ]


def _options(name: str) -> dict[str, Any]:
    build = find_build(name)
    if "ngf" in inspect.signature(build).parameters:
        return {"ngf": WIDTH}
    small = getattr(sys.modules[build.__module__], "SMALL", {})
    return {key: value for key, value in small.items() if not key.endswith("_channels")}


def model_of(case: Result, published: bool) -> Model:
    """A model with random weights that keep the variance, so that deep levels count."""
    kept = {k: v for k, v in case["options"].items() if not (published and k in WIDTHS)}
    options = {**kept, "in_channels": 3, "out_channels": 3}
    torch.manual_seed(0)
    network = build_network(case["architecture"], options).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, 0.2)
    card = ModelCard(
        name=case["title"], task="stain", architecture=case["architecture"], options=options,
        inputs=COLOUR, outputs=COLOUR, normalisation=Normalisation("dtype", target=(-1.0, 1.0)),
        output_range=(-1.0, 1.0),
    )  # fmt: skip
    return Model(network, card)
