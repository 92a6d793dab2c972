"""What the networks of a recipe begin with: another model's weights, or an encoder's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from napari_tincture.errors import InputError, ModelError
from napari_tincture.models import load_model
from napari_tincture.models.card import Part
from napari_tincture.models.model import Model
from napari_tincture.models.networks.autoencoder import hand_over
from napari_tincture.models.pretrained import load_encoder
from napari_tincture.models.weights import fill_network, has_card
from napari_tincture.training.translation import TranslationRecipe

LAST = "out_channels"
"""The option of networks that says what the last layer gives."""


def begin_from(networks: Mapping[str, nn.Module], recipe: TranslationRecipe) -> str:
    """Give networks the weights of the model that the recipe starts from.

    Networks that the model does not keep, such as the discriminators of a published generator,
    keep the weights that they have. Of an autoencoder, and of ImageNet weights in a file without a
    card, the network "forward" takes the encoder. A last layer that gives other channels (other
    classes, other stains) is learned anew.

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
    taken = []
    for name in sorted(networks.keys() & own.keys()):
        _check_same(recipe, name, own[name])
        source = model.network if name == "forward" else model.part(name)
        origin = f"{recipe.start} ({name})"
        drawn = _fill(networks[name], source.state_dict(), origin, own[name], recipe.networks[name])
        taken.append(f"{name} but {', '.join(drawn)}" if drawn else name)
    return f"{card.name}: {', '.join(taken)}"


def _fill(
    network: nn.Module, state: Mapping[str, Tensor], origin: str, before: Part, now: Part
) -> list[str]:
    """Copy weights but those of a last layer that gives other channels, which are named."""
    own, drawn = network.state_dict(), []
    if LAST in _differing(before.options, now.options):
        drawn = [key for key in own if key in state and own[key].shape != state[key].shape]
    fill_network(network, {**state, **{key: own[key] for key in drawn}}, origin)
    return drawn


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
        changed = _differing(found.options, wanted.options)
        differing = [change for option, change in changed.items() if option != LAST]
    else:
        differing = [f"architecture {found.architecture} → {wanted.architecture}"]
    if differing:
        raise ModelError(
            f"The network {name!r} of {recipe.start!r} is another than that of recipe "
            f"{recipe.name!r}: {', '.join(differing)}. Take the networks of the model's own "
            "recipe, or do not start from it."
        )


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    # An option that either leaves out has its default; weights of other shapes are found later.
    # A head has no weights.
    return {
        key: f"{key} {before[key]} → {now[key]}"
        for key in sorted((before.keys() & now.keys()) - {"head"})
        if before[key] != now[key]
    }


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
