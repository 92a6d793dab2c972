"""Which of several models a layer was probably opened for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from napari_tincture.errors import InputError
from napari_tincture.models.card import ModelCard
from napari_tincture.raster import Raster
from napari_tincture.tasks.channels import map_channels

NAMED = 1000


def best_fitting(
    image: Raster, cards: Mapping[str, ModelCard], like: Callable[[ModelCard], int]
) -> str:
    """Name of the model that fits best, of several the first; "" if none takes the image.

    `like` is asked of those that fit equally well: the more, the better the image's values suit.
    """
    fits = {name: fitness(image, card) for name, card in cards.items()}
    best = max(fits.values(), default=0)
    names = [name for name, fit in fits.items() if fit == best and best]
    return max(names, key=lambda name: like(cards[name]), default="")


def fitness(image: Raster, card: ModelCard) -> int:
    """How many channels or planes a model takes, many more if they have its names, else 0."""
    names = {channel.name for channel in card.image_inputs}
    known = {*image.channels, *(image.display.get("planes") or ())}
    if names <= known or (image.rgb and card.rgb_input):
        return NAMED
    try:
        map_channels(image, card)
    except InputError:
        return 0
    return len(names)
