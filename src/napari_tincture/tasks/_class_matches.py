"""Which class of a segmentation model a value of a label map means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.models import Model
from napari_tincture.models.card import ModelCard
from napari_tincture.models.class_table import classes_of
from napari_tincture.raster import Raster
from napari_tincture.tasks._run import as_model
from napari_tincture.tasks.segment import values_of
from napari_tincture.training.labels.labelling import as_classes


def segmented_classes(card: ModelCard) -> dict[int, str]:
    """Names of the classes that ``segment(output="classes")`` gives, by value."""
    if card.instances is not None or len(card.outputs) == 1:
        return {0: "background", 1: card.outputs[0].name}
    names = [channel.name for channel in card.outputs]
    return dict(zip(values_of(card) or range(len(names)), names, strict=True))


def names_of_maps(names: Any, image: Raster) -> dict[int, str]:
    """Names of the values of label maps.

    Parameters
    ----------
    names
        Value → name; or a model of synthesis, by its name, its path or as such; None: the model
        that made `image`, if it is a result of `synthesize`.
    """
    if isinstance(names, Mapping):
        return {int(value): str(name) for value, name in names.items()}
    call = image.call
    if names is None and (call is None or call.task != "synthesize"):
        return {}
    model: Model = as_model(names, "synthesize") if names is not None else call.model  # type: ignore[union-attr]
    return {value: channel.name for value, channel in classes_of(model.card).items()}


def match_classes(
    values: Iterable[int],
    names: Mapping[int, str],
    card: ModelCard,
    given: Mapping[Any, Any] | None = None,
) -> dict[int, int | None]:
    """Value of a class of the segmenter for each value of a map; None: it has no such class.

    Parameters
    ----------
    values
        Of the maps.
    names
        Of these values, as far as there are any.
    card
        Of the segmenter.
    given
        Value → name or value of one of the segmenter's classes, or None for none; decides first.
        Then equal names do; then equal values (and those that the segmenter's training took for
        the same class), where names of equal values do not contradict.

    Raises
    ------
    InputError
        If the segmenter has no class that was given.
    """
    own = segmented_classes(card)
    by_name = {name: value for value, name in own.items()}
    meant = {**_also(card), **{value: value for value in own}}
    if any(names.get(value, name) != name for value, name in own.items()):
        meant = {}
    found: dict[int, int | None] = {}
    for value in values:
        if given is not None and value in given:
            found[value] = _given(given[value], own, by_name, card)
        else:
            found[value] = by_name.get(names.get(value, ""), meant.get(value))
    return found


def _given(
    wanted: Any, own: Mapping[int, str], by_name: Mapping[str, int], card: ModelCard
) -> int | None:
    if wanted is None or wanted in own:
        return None if wanted is None else int(wanted)
    if wanted not in by_name:
        known = ", ".join(f"{value} {name}" for value, name in own.items())
        raise InputError(
            f"classes= names {wanted!r}, which model {card.name!r} does not segment. It knows "
            f"{known}; None leaves a value out."
        )
    return by_name[wanted]


def _also(card: ModelCard) -> dict[int, int]:
    """Further values that the segmenter's training took for a class."""
    if card.instances is not None:
        return {}
    classes = dict(card.recipe).get("options", {}).get("classes") or ()
    return {also: each.value for each in as_classes(classes) for also in each.also}
