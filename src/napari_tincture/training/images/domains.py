"""Domains: the images of one side of a translation, opened lazily from what a user has."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.models.statistics import measured, sampled, summary
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.tiling.inputs import NonFinite
from napari_tincture.training.images.names import listed, matched
from napari_tincture.training.images.pictures import AS_STORED, DECODED_BYTES, Picture, pictures_of
from napari_tincture.training.images.sources import find_entries, open_entries

AS_PUBLISHED = Normalisation("dtype", target=(-1.0, 1.0))
"""What generators that end in tanh take: integer types mapped to [-1, 1]."""
_KEYS = (
    "images", "axes", "channels", "mask", "keep", "weight", "normalisation", "nonfinite",
)  # fmt: skip
SURVEYED = 64
"""Pictures of which statistics are taken."""


@dataclass(frozen=True, eq=False)
class Domain:
    """The images of one side ("a" source, "b" target).

    Attributes
    ----------
    pictures
        Their planes (c, y, x), in the order of the images.
    keep
        Labels of the masks whose pixels may be used; None: those of label 0.
    description
        What `from_json` makes it of; None where images are not files.
    """

    pictures: tuple[Picture, ...]
    keep: tuple[int, ...] | None = None
    description: Mapping[str, Any] | None = None

    @classmethod
    def open(
        cls, images: Any, *, axes: str | None = None, channels: Any = None, mask: Any = None,
        keep: Sequence[int] | None = None, weight: Any = None,
        normalisation: Normalisation = AS_PUBLISHED, nonfinite: NonFinite = "error",
        root: str | os.PathLike[str] = ".",
    ) -> Self:  # fmt: skip
        """Find and open images, reading nothing but their metadata.

        Parameters
        ----------
        images
            A folder (all readable images in it, in the order of their names, not of its
            folders), a glob, a path, a raster, an array, a layer, or a list of these. A list
            within the list is one image whose channels are joined.
        axes
            What the dimensions of each image are, as `open_image` takes them; None: as they say.
        channels
            Which channels, see `pictures_of`.
        mask
            Labels beside the images, given likewise and matched by name: pixels of label 0 (or
            of the labels `keep`) are used, others are not. Images without one are used whole.
        weight
            Weights beside the images, matched likewise; pixels of images without have weight 1.
        normalisation
            From values to the networks'; what it takes from the plane is measured when needed.
        nonfinite
            Whether NaN and infinity are an "error" or "background".
        root
            What relative paths are relative to.

        Raises
        ------
        InputError
            If there is no image, some cannot be read (all are named, up to five), numbers of
            channels differ, or a mask fits no image or is of another size.
        """
        given = {"images": images, "axes": axes, "channels": channels, "mask": mask, "keep": keep,
                 "weight": weight}  # fmt: skip
        if nonfinite != "error":
            given["nonfinite"] = nonfinite
        chosen = None if keep is None else tuple(int(label) for label in keep)
        description = {k: v for k, v in given.items() if v is not None} | {
            "normalisation": dataclasses.asdict(normalisation)
        }
        pictures = _pictures(images, Path(root), channels, normalisation, nonfinite, axes)
        _check_channels(pictures)
        for field, beside in (("mask", mask), ("weight", weight)):
            if beside is not None:
                pictures = _beside(pictures, field, beside, Path(root))
        return cls(tuple(pictures), chosen, _if_json(description))

    @classmethod
    def from_json(cls, description: Mapping[str, Any], root: str | os.PathLike[str] = ".") -> Self:
        """Open what a recipe describes: ``{"images": "folder", "channels": [0], …}``.

        Keys are the arguments of `open`; relative paths begin at `root`.
        """
        values = dict(description)
        if "images" not in values or set(values) - set(_KEYS):
            raise InputError(
                f"{values} describes no domain: expected images, and of {', '.join(_KEYS[1:])} "
                "what differs from the usual."
            )
        if (norm := values.pop("normalisation", None)) is not None:
            values["normalisation"] = _normalisation(norm)
        return cls.open(**values, root=root)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes it of.

        Raises
        ------
        InputError
            If images were given as arrays or layers, or this is a part of a domain.
        """
        if self.description is None:
            raise InputError(
                "Only a whole domain of files can be described in a recipe; save arrays and layers "
                "first and give their paths."
            )
        return dict(self.description)

    @property
    def channels(self) -> int:
        """How many each picture has."""
        return self.pictures[0].channels

    @property
    def images(self) -> dict[int, list[int]]:
        """Places in `pictures` of each image's planes, by the image's number."""
        found: dict[int, list[int]] = {}
        for place, picture in enumerate(self.pictures):
            found.setdefault(picture.image, []).append(place)
        return found

    def subset(self, places: Sequence[int]) -> Self:
        """Some of the pictures."""
        chosen = tuple(self.pictures[place] for place in places)
        return replace(self, pictures=chosen, description=None)

    def part(self, y: slice, x: slice) -> Self:
        """A region of every picture."""
        cut = tuple(picture.part(y, x) for picture in self.pictures)
        return replace(self, pictures=cut, description=None)


def domain_statistics(domain: Domain) -> dict[str, Any]:
    """What a card keeps of the raw values that a model was trained on, for `out_of_range`.

    Up to 64 evenly spaced pictures are sampled.

    Returns
    -------
    dict
        See `napari_tincture.models.statistics.summary`.
    """
    count = len(domain.pictures)
    places = np.unique(np.linspace(0, count - 1, min(count, SURVEYED)).round().astype(int))
    rows = [measured(sampled(p.raw, p.shape)) for p in (domain.pictures[i] for i in places)]
    sizes = [p.raster.pixel_size for p in domain.pictures]
    known = [float(np.mean(size)) for size in sizes if size is not None]
    pixel = float(np.median(known)) if len(known) == count else None
    return summary(rows, len(domain.images), pixel)


def _pictures(
    images: Any, root: Path, channels: Any, normalisation: Normalisation, nonfinite: NonFinite,
    axes: str | None = None,
) -> list[Picture]:  # fmt: skip
    entries = find_entries(images, root)
    decoded = BlockCache(DECODED_BYTES)
    pictures: list[Picture] = []
    rasters = open_entries(entries, axes)
    for number, (entry, raster) in enumerate(zip(entries, rasters, strict=True)):
        name = entry.names[0] if entry.field is None else entry.label
        pictures += pictures_of(raster, channels, normalisation, nonfinite, decoded, name, number)
    return pictures


def _check_channels(pictures: Sequence[Picture]) -> None:
    counts = Counter(picture.channels for picture in pictures)
    usual = counts.most_common(1)[0][0]
    others = {f"{p.name} has {p.channels}": None for p in pictures if p.channels != usual}
    if others:
        raise InputError(
            f"Most images have {usual} channels, but {listed(list(others))}. Choose channels that "
            f"all have, such as channels=[0], or take these images out."
        )


def _beside(pictures: list[Picture], field: str, given: Any, root: Path) -> list[Picture]:
    """The pictures with their masks or weights."""
    others = _pictures(given, root, None, AS_STORED, "error")
    names = list(dict.fromkeys((p.image, p.name) for p in pictures))
    theirs = list(dict.fromkeys((p.image, p.name) for p in others))
    partners = matched([n for _, n in names], [n for _, n in theirs], f"a {field}", partial=True)
    image_of = {
        number: None if partner is None else theirs[partner][0]
        for (number, _), partner in zip(names, partners, strict=True)
    }
    result = []
    for picture in pictures:
        planes = [p for p in others if p.image == image_of[picture.image]]
        own = [p for p in planes if p.plane == picture.plane] or planes[:1]
        if own:
            _check_beside(picture, own[0], field)
        result.append(replace(picture, **{field: own[0]}) if own else picture)  # type: ignore[arg-type]
    return result


def _check_beside(picture: Picture, other: Picture, field: str) -> None:
    if other.shape != picture.shape or other.channels != 1:
        problem = f"{other.channels} channels of " if other.channels != 1 else ""
        raise InputError(
            f"The {field} {other.name!r} has {problem}{_size(other)} px (y × x), its image "
            f"{picture.name!r} {_size(picture)}. Give one with a value for each pixel."
        )


def _size(picture: Picture) -> str:
    return "{} × {}".format(*picture.shape)


def _normalisation(given: Mapping[str, Any]) -> Normalisation:
    try:
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
        }
        return Normalisation(**fields)
    except (TypeError, AttributeError) as error:
        raise InputError(
            f"{given!r} describes no normalisation: {error}. Expected kind, low, high, "
            "target and clip."
        ) from error


def _if_json(description: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The description if JSON can hold it, as JSON would give it back."""

    def plain(value: Any) -> Any:
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        if isinstance(value, Mapping):
            return {str(key): plain(each) for key, each in value.items()}
        if value is None or isinstance(value, str | int | float | bool):
            return value
        raise TypeError(value)

    try:
        return {key: plain(value) for key, value in description.items()}
    except TypeError:
        return None
