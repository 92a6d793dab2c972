"""Recipes made to suit their images: which classes there are, how many channels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from napari_tincture.errors import InputError, TinctureWarning
from napari_tincture.models.card import Part
from napari_tincture.models.registry import ROOM, room_of
from napari_tincture.training.images.material import Material, Portion
from napari_tincture.training.images.names import listed
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.labels.labelling import EVERY, Labelling, as_classes
from napari_tincture.training.labels.pictures import LabelPicture, labelled
from napari_tincture.training.labels.places import values_in
from napari_tincture.training.labels.styles import styles_found, with_styles
from napari_tincture.training.translation import TranslationRecipe

Counts = Mapping[int, int]
"""Pixels by value."""


def fitted(recipe: TranslationRecipe, material: Material) -> tuple[TranslationRecipe, Material]:
    """A recipe and its images as they are trained; fitted again they stay the same.

    Of images with labels, all labels are read once. The recipe names every class then, its network
    has the images' channels and an output per class (one that synthesizes has an input per class
    and the images' channels, and knows each style by name if it learns styles), and a discriminator
    sees both; where these learn by turns, an epoch has as many crops as there are
    training pictures. Networks that learn from images alone have the images' channels. Other
    recipes stay as they are.

    Raises
    ------
    InputError
        If images have no label, all labels are of one class, or the training part lacks a class
        (of recipes that synthesize and name their classes that is a warning).
    """
    if recipe.published.data == "images":
        return recipe.replace(networks=_of_images(recipe, material)), material
    if not recipe.published.labels:
        return recipe, material
    labelling = recipe.labelling
    parts = {
        name: _by_image(portion.pairs)
        for name, portion in (("training", material.train), ("validation", material.validation),
                              ("test", material.test))
        if portion.pairs is not None
    }  # fmt: skip
    if labelling.target == "classes":
        counts = {name: _counted(images, labelling) for name, images in parts.items()}
        if not labelling.classes:
            values = sorted({value for found in counts.values() for value in found})
            labelling = replace(labelling, classes=as_classes(values))
        # A palette of many classes is worth having though some are rare: their maps stay possible.
        named = recipe.published.synthesizes and bool(recipe.options.get("classes"))
        _check_classes(labelling, counts, named)
    else:
        _check_objects(parts["training"])
    options = dict(recipe.options)
    if not recipe.published.synthesizes:
        options["target"] = labelling.target
    if labelling.target == "classes":
        options |= {"unlabelled": labelling.unlabelled, "classes": labelling.to_json()}
    if options.get("alternation") == "epoch" and not options.get("epoch"):
        assert material.train.sources is not None
        options["epoch"] = -(-len(material.train.sources.pictures) // recipe.sampling.batch)
    networks = _networks(recipe, material, len(labelling.outputs))
    if styles := styles_found(options, material):
        options["styles"] = styles
        own = networks["forward"]
        networks["forward"] = Part(own.architecture, {**own.options, "styles": len(styles)})
        material = with_styles(material, options["style_from"], styles)
    return recipe.replace(options=options, networks=networks), _read_as(material, labelling)


def _of_images(recipe: TranslationRecipe, material: Material) -> dict[str, Part]:
    assert material.train.sources is not None
    return _networks(recipe, material, material.train.sources.channels)


def _networks(recipe: TranslationRecipe, material: Material, outputs: int) -> dict[str, Part]:
    """The networks for the images' channels; discriminators see these and the outputs.

    Networks that synthesize have the outputs as inputs, and encoders see what they make.
    """
    assert material.train.sources is not None
    images = material.train.sources.channels
    ends = (outputs, images) if recipe.published.synthesizes else (images, outputs)
    seen = {ROOM: ends[0], "encoders": ends[1], "discriminators": sum(ends)}
    found = {}
    for name, part in recipe.networks.items():
        own = {"in_channels": seen[room_of(name)]}
        if name == "forward":
            # Variances that are learned are further channels.
            learned = recipe.options.get("variance") == "learned"
            own["out_channels"] = ends[1] * (2 if learned else 1)
        found[name] = Part(part.architecture, {**part.options, **own})
    return found


def _read_as(material: Material, labelling: Labelling) -> Material:
    def read(portion: Portion) -> Portion:
        if portion.pairs is None:
            return portion
        pairs = portion.pairs
        return replace(portion, pairs=replace(pairs, b=labelled(pairs.b, labelling)))

    return replace(
        material,
        train=read(material.train),
        validation=read(material.validation),
        test=read(material.test),
    )


def _by_image(pairs: Pairs) -> dict[str, list[LabelPicture]]:
    """Label pictures of each image, by the image's name."""
    found: dict[str, list[LabelPicture]] = {}
    for places in pairs.images.values():
        name = pairs.a.pictures[places[0]].name
        own = cast(Sequence[LabelPicture], [pairs.b.pictures[place] for place in places])
        found.setdefault(name, []).extend(own)
    return found


def _counted(images: Mapping[str, Sequence[LabelPicture]], labelling: Labelling) -> Counts:
    """Labelled pixels by value; images without any are refused."""
    total: dict[int, int] = {}
    bare = []
    for name, pictures in images.items():
        counts = {
            value: number
            for value, number in values_in(pictures, open_end=bool(labelling.classes)).items()
            if value != labelling.unlabelled and (not labelling.classes or value in labelling.meant)
        }
        if not counts:
            bare.append(name)
        for value, number in counts.items():
            total[value] = total.get(value, 0) + number
    if bare and len(bare) == len(images) == 1:
        raise InputError(
            f"The labels of {bare[0]!r} are empty, or lie outside the part of it that this is "
            f"about: every pixel is unlabelled ({_unlabelled(labelling)}). Paint classes on it, or "
            "train on all of it with split={'validation': 0}."
        )
    if bare:
        raise InputError(
            f"{len(bare)} of {len(images)} images have no label: {listed(bare)}. Paint classes on "
            f"them, or leave them out; unlabelled is {_unlabelled(labelling)}."
        )
    return total


def _check_classes(
    labelling: Labelling, counts: Mapping[str, Counts], may_lack: bool = False
) -> None:
    if len(labelling.classes) < 2:
        only = ", ".join(map(str, labelling.values)) or "none"
        raise InputError(
            f"All labels are of one class, {only}: there is nothing to tell apart. Paint some of "
            f"another one, such as background with a value of its own; unlabelled is "
            f"{_unlabelled(labelling)} (unlabelled={EVERY} makes 0 a class like others)."
        )
    missing = [
        f"{each.name} ({each.value})"
        for each in labelling.classes
        if counts["training"].keys().isdisjoint((each.value, *each.also))
    ]
    if missing and may_lack:
        warnings.warn(
            f"The training images hold no label of {listed(missing)}; how it looks is not learned.",
            TinctureWarning,
            stacklevel=2,
        )
    elif missing:
        raise InputError(
            f"The training images hold no label of {listed(missing)}; it may lie in those kept for "
            "validation. Label more, or keep none with split={'validation': 0}."
        )


def _check_objects(images: Mapping[str, Sequence[LabelPicture]]) -> None:
    for pictures in images.values():
        for picture in pictures:
            if picture.has_objects:
                return
    raise InputError(
        f"None of {len(images)} training images has an object: all labels are 0. Give label images "
        "in which every object has a number of its own."
    )


def _unlabelled(labelling: Labelling) -> str:
    if labelling.unlabelled == EVERY:
        return "no value"
    return f"the value {labelling.unlabelled}"
