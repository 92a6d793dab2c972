"""The networks of a recipe: whether its crops suit them, and what they begin with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models import load_model
from napari_tincture.models.card import Part
from napari_tincture.models.layers.in_place import activate_in_place
from napari_tincture.models.model import Model
from napari_tincture.models.networks.autoencoder import hand_over
from napari_tincture.models.pretrained import load_encoder
from napari_tincture.models.registry import DENOISERS, ROOM, build_network, room_of
from napari_tincture.models.weights import fill_network, has_card
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


def begin_from(networks: Mapping[str, nn.Module], recipe: TranslationRecipe) -> str:
    """Give networks the weights of the model that the recipe starts from.

    Networks that the model does not keep, such as the discriminators of a published generator,
    keep the weights that they have. Of an autoencoder, and of ImageNet weights in a file without a
    card, the network "forward" takes the encoder.

    Returns
    -------
    str
        What was taken, for the model's card.

    Raises
    ------
    ModelError
        If there is no such model, or one of its networks, or encoders, is another than the
        recipe's; it names what differs.
    """
    file = Path(recipe.start).expanduser()
    if file.is_file() and not (file.suffix == ".safetensors" and has_card(file)):
        load_encoder(networks["forward"], file)
        return f"{file.name}: the encoder"
    model = load_model(recipe.start)
    card = model.card
    if card.architecture == "autoencoder" != recipe.networks["forward"].architecture:
        return _take_encoder(networks["forward"], recipe, model)
    own = {"forward": Part(card.architecture, card.options), **card.parts}
    for name in networks.keys() & own.keys():
        _check_same(recipe, name, own[name])
        source = model.network if name == "forward" else model.part(name)
        fill_network(networks[name], source.state_dict(), f"{recipe.start} ({name})")
    return f"{card.name}: {', '.join(sorted(networks.keys() & own.keys()))}"


def _take_encoder(network: nn.Module, recipe: TranslationRecipe, model: Model) -> str:
    try:
        taken = hand_over(model.network.state_dict(), network)
    except ModelError as error:
        raise ModelError(
            f"Recipe {recipe.name!r} cannot start from {recipe.start!r}: {error}"
        ) from error
    return f"{model.card.name}: the encoder, {len(taken)} tensors ({taken[0]} to {taken[-1]})"


def _check_same(recipe: TranslationRecipe, name: str, found: Part) -> None:
    wanted = recipe.networks[name]
    if found.architecture == wanted.architecture:
        differing = _differing(found.options, wanted.options)
    else:
        differing = [f"architecture {found.architecture} → {wanted.architecture}"]
    if differing:
        raise ModelError(
            f"The network {name!r} of {recipe.start!r} is another than that of recipe "
            f"{recipe.name!r}: {', '.join(differing)}. Take the networks of the model's own "
            "recipe, or do not start from it."
        )


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    # An option that either leaves out has its default; weights of other shapes are found later.
    # A head has no weights.
    return [
        f"{key} {before[key]} → {now[key]}"
        for key in sorted((before.keys() & now.keys()) - {"head"})
        if before[key] != now[key]
    ]


def continued(model: Model) -> TranslationRecipe:
    """The recipe that goes on from a finished model's weights.

    Raises
    ------
    InputError
        If the model keeps no recipe, or no file that it could be read from again.
    """
    if not model.card.recipe.get("family") or model.path is None:
        raise InputError(
            f"Model {model.card.name!r} keeps no recipe of a translation, or lies in no file. "
            "Choose a model that was trained here and saved."
        )
    recipe = TranslationRecipe.from_dict(model.card.recipe)
    return recipe.replace(start=str(model.path.absolute()))
