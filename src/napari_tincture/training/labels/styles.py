"""Which style each training image is of, by its name: the video, slide or batch that it is from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.training.images.material import Material, Portion
from napari_tincture.training.images.names import listed


def styles_found(options: Mapping[str, Any], material: Material) -> list[str]:
    """Names of the styles of a recipe: those that it names, or those of its training images.

    Parameters
    ----------
    options
        Of the recipe: "style_from", a regular expression that is searched in the images' names and
        whose first group, or else all that it finds, names the style; and perhaps "styles".

    Returns
    -------
    list of str
        Their numbers are 1, 2, …; empty if the recipe knows no styles.

    Raises
    ------
    InputError
        If the expression is none, or is found in no training image.
    """
    pattern = options.get("style_from") or ""
    if not pattern:
        return []
    if options.get("styles"):
        return list(options["styles"])
    assert material.train.sources is not None
    names = [picture.name for picture in material.train.sources.pictures]
    found = {style for name in names if (style := style_name(pattern, name))}
    if not found:
        raise InputError(
            f"style_from={pattern!r} is found in none of {len(names)} training images: "
            f"{listed(names)}. Give an expression whose first group is what names of one style "
            "have in common, such as '^(slide[0-9]+)_'."
        )
    return sorted(found, key=_counted)


def style_name(pattern: str, name: str) -> str:
    """What an expression finds in an image's name; empty if nothing."""
    try:
        found = re.search(pattern, name)
    except re.error as error:
        raise InputError(f"style_from={pattern!r} is no regular expression: {error}.") from error
    return "" if found is None else found[1 if found.re.groups else 0] or ""


def _counted(name: str) -> list[Any]:
    """Sorts 10 after 9."""
    return [int(part) if part.isdigit() else part for part in re.split("([0-9]+)", name)]


def with_styles(material: Material, pattern: str, styles: Sequence[str]) -> Material:
    """The same images, each with its style's number; 0 for those of no style that is known."""
    if not styles:
        return material
    numbers = {name: number for number, name in enumerate(styles, start=1)}

    def told(portion: Portion) -> Portion:
        if portion.pairs is None:
            return portion
        pictures = tuple(
            replace(picture, style=numbers.get(style_name(pattern, picture.name), 0))
            for picture in portion.pairs.a.pictures
        )
        pairs = replace(portion.pairs, a=replace(portion.pairs.a, pictures=pictures))
        return replace(portion, pairs=pairs)

    return replace(
        material,
        train=told(material.train),
        validation=told(material.validation),
        test=told(material.test),
    )
