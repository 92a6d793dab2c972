"""The networks of a recipe: whether its crops suit them, and what they begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models import load_model
from napari_tincture.models.card import Part
from napari_tincture.models.model import Model
from napari_tincture.models.registry import build_network, room_of
from napari_tincture.models.weights import fill_network
from napari_tincture.training.translation import TranslationRecipe

STRIDES = tuple(2**power for power in range(1, 11))
"""Of which a crop's side may have to be a multiple."""


def check_crops(recipe: TranslationRecipe) -> None:
    """Raise `InputError` unless all networks take the recipe's crops; nothing is computed."""
    side = recipe.sampling.crop
    if recipe.published.labels and not recipe.networks["forward"].options.get("padded", True):
        _check_unpadded(recipe.networks["forward"], side)
        return
    shown = {n: p for n, p in recipe.networks.items() if room_of(n) != "encoders"}
    for name, part in shown.items():
        problem = _problem(name, part, side)
        if problem is None:
            continue
        sides = sorted({side // n * n or n for n in STRIDES}, key=lambda s: abs(s - side))
        nearest = next((s for s in sides if _suits(shown, s)), None)
        advice = f"Take crops of {nearest} px" if nearest else "Take larger crops"
        raise InputError(
            f"Crops of {side} px do not suit the network {name!r} ({part.architecture}): "
            f"{problem}. {advice}, or other networks."
        )


def _check_unpadded(part: Part, side: int) -> None:
    """Networks that lose a margin take crops of certain sides."""
    with torch.device("meta"):
        network: Any = build_network(part.architecture, part.options)
    margin, stride = int(network.margin), 2 ** int(network.depth)
    rest = (side - network.residue) % stride
    if not rest and side > 2 * margin:
        return
    least = max(side, 2 * margin + 1)
    near = least + (network.residue - least) % stride
    raise InputError(
        f"Crops of {side} px do not suit a network without padding: it loses {margin} px on every "
        f"side and takes sides that leave {network.residue} when divided by {stride}. Take crops "
        f"of {near} px, or padded=True."
    )


def _suits(networks: Mapping[str, Part], side: int) -> bool:
    return all(_problem(n, part, side, resized=True) is None for n, part in networks.items())


def _problem(name: str, part: Part, side: int, *, resized: bool = False) -> str | None:
    """What goes wrong with images of a side, if anything; `resized`: with networks made for it."""
    options = dict(part.options)
    if resized and "img_size" in options:
        options["img_size"] = side
    try:
        with torch.device("meta"):
            network = build_network(part.architecture, options, room_of(name)).eval()
            image = torch.empty(1, int(part.options.get("in_channels", 3)), side, side)
            result = network(image)
    except (RuntimeError, ValueError) as error:
        return str(error).rstrip(".")
    if room_of(name) or result.shape[-2:] == image.shape[-2:]:
        return None
    return "it gives images of {} × {} px for them".format(*result.shape[-2:])


def begin_from(networks: Mapping[str, nn.Module], recipe: TranslationRecipe) -> None:
    """Give networks the weights of the model that the recipe starts from.

    Networks that the model does not keep, such as the discriminators of a published generator,
    keep the weights that they have.

    Raises
    ------
    ModelError
        If there is no such model, or one of its networks is another than the recipe's.
    """
    model = load_model(recipe.start)
    card = model.card
    own = {"forward": Part(card.architecture, card.options), **card.parts}
    for name in networks.keys() & own.keys():
        _check_same(recipe, name, own[name])
        source = model.network if name == "forward" else model.part(name)
        fill_network(networks[name], source.state_dict(), f"{recipe.start} ({name})")


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
