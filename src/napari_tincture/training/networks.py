"""The networks of a recipe: whether its crops suit them, and how they compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import Part
from napari_tincture.models.layers.in_place import activate_in_place
from napari_tincture.models.registry import DENOISERS, ROOM, build_network, room_of
from napari_tincture.training.translation import TranslationRecipe

STRIDES = tuple(2**power for power in range(1, 11))
"""Of which a crop's side may have to be a multiple."""


def check_crops(recipe: TranslationRecipe) -> None:
    """Raise `InputError` unless all networks take the recipe's crops; nothing is computed."""
    crop = side = recipe.sampling.crop
    noisy = _noisy(recipe)
    shown = {n: p for n, p in recipe.networks.items() if room_of(n) != "encoders"}
    if recipe.published.labels and not shown["forward"].options.get("padded", True):
        side -= 2 * _check_unpadded(shown.pop("forward"), side)
    for name, part in shown.items():
        problem = _problem(name, part, side, noisy)
        if problem is None:
            continue
        sides = sorted({side // n * n or n for n in STRIDES}, key=lambda s: abs(s - side))
        nearest = (
            next((s for s in sides if _suits(shown, s, noisy)), None) if side == crop else None
        )
        advice = f"Take crops of {nearest} px" if nearest else "Take larger crops"
        left = "" if side == crop else f", of which {side} px are left,"
        raise InputError(
            f"Crops of {crop} px{left} do not suit the network {name!r} ({part.architecture}): "
            f"{problem}. {advice}, or other networks."
        )


def _check_unpadded(part: Part, side: int) -> int:
    """Networks that lose a margin, which is returned, take crops of certain sides."""
    with torch.device("meta"):
        network: Any = build_network(part.architecture, part.options)
    margin, stride = int(network.margin), 2 ** int(network.depth)
    rest = (side - network.residue) % stride
    if not rest and side > 2 * margin:
        return margin
    least = max(side, 2 * margin + 1)
    near = least + (network.residue - least) % stride
    raise InputError(
        f"Crops of {side} px do not suit a network without padding: it loses {margin} px on every "
        f"side and takes sides that leave {network.residue} when divided by {stride}. Take crops "
        f"of {near} px, or padded=True."
    )


def _noisy(recipe: TranslationRecipe) -> int:
    """Channels of the noisy image that a denoiser takes; 0 if it is none."""
    if not recipe.published.denoises:
        return 0
    given = int(recipe.networks["forward"].options.get("out_channels", 3))
    return given // 2 if recipe.options.get("variance") == "learned" else given


def _suits(networks: Mapping[str, Part], side: int, noisy: int) -> bool:
    return all(_problem(n, part, side, noisy, resized=True) is None for n, part in networks.items())


def _problem(name: str, part: Part, side: int, noisy: int, *, resized: bool = False) -> str | None:
    """What goes wrong with images of a side, if anything.

    `noisy`: channels of the noisy image that denoisers take, 0 for others; `resized`: with networks
    made for the side.
    """
    options = dict(part.options)
    if resized and "img_size" in options:
        options["img_size"] = side
    room = room_of(name, noisy > 0)
    try:
        with torch.device("meta"):
            network = build_network(part.architecture, options, room).eval()
            image = torch.empty(1, int(part.options.get("in_channels", 3)), side, side)
            if room == DENOISERS:
                made = torch.empty(1, noisy, side, side)
                result = network(made, torch.zeros(1), image)
            else:
                result = network(image)
    except (RuntimeError, ValueError) as error:
        return str(error).rstrip(".")
    if room not in (ROOM, DENOISERS) or result.shape[-2:] == image.shape[-2:]:
        return None
    return "it gives images of {} × {} px for them".format(*result.shape[-2:])


def act_in_place(networks: Mapping[str, nn.Module], recipe: TranslationRecipe) -> None:
    """Let activations overwrite what they are given, where losses and gradients stay the same."""
    side = recipe.sampling.crop
    if recipe.published.denoises:
        return  # their activations are no in-place ones
    for name, part in recipe.networks.items():
        if room_of(name) != "encoders":
            example = torch.zeros(1, int(part.options.get("in_channels", 3)), side, side)
            example += torch.linspace(-1, 1, side)
            activate_in_place(networks[name], example, learning=True)
