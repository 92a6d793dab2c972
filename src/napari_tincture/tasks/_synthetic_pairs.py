"""Synthetic training images: made of label maps, kept on disk, and joined with real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.models import Model
from napari_tincture.progress import CancelToken, Progress, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._label_map import open_label_map
from napari_tincture.tasks._pairs import planes_of
from napari_tincture.tasks.synthesize import synthesize
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.labels.pictures import LabelPicture, labelled


@dataclass(frozen=True)
class Painting:
    """How images are made of maps.

    Attributes
    ----------
    model
        Of synthesis.
    folder
        Where they are kept; those that are there already are not made again.
    variants
        Images of each map; each has a seed of its own.
    seed
        The first of them.
    settings
        Further arguments of `synthesize`.
    """

    model: Model
    folder: Path
    variants: int
    seed: int
    settings: Mapping[str, Any]

    def paint(self, maps: Sequence[Raster], progress: Progress, cancel: CancelToken) -> list[Path]:
        """Files of all variants of all maps, map after map."""
        self.folder.mkdir(parents=True, exist_ok=True)
        found = []
        for number in range(len(maps) * self.variants):
            place, variant = divmod(number, self.variants)
            path = self.folder / f"{place:04}-{variant}.ome.tif"
            if not path.is_file():
                image = synthesize(
                    maps[place], self.model, seed=self.seed + number, **self.settings
                )
                part = share(progress, number, len(maps) * self.variants)
                image.save(path, progress=part, cancel=cancel)
            found.append(path)
        return found


def maps_of(pairs: Pairs) -> list[Raster]:
    """Label maps (y, x) of training pairs, as their label images have them."""
    found = []
    for number, picture in enumerate(pairs.b.pictures):
        height, width = picture.shape
        labels, there = cast(LabelPicture, picture).labels(slice(0, height), slice(0, width))
        if there is not None and not there.all():
            raise InputError(
                f"The labels {picture.name!r} do not cover their image: nothing can be made of "
                "them. Give whole label maps, maps=[…]."
            )
        values = np.ascontiguousarray(labels)
        found.append(Raster.from_array(values, "yx", name=f"map-{number}", kind="labels"))
    return found


def planes_of_maps(maps: Any) -> list[Raster]:
    """Planes (y, x) of the label maps that somebody gave."""
    several = maps if isinstance(maps, list | tuple) else [maps]
    return [
        replace(plane, name=f"map-{number}")
        for number, plane in enumerate(
            plane for each in several for _, plane in planes_of(open_label_map(each))
        )
    ]


def synthetic_pairs(
    files: Sequence[Path], maps: Sequence[Raster], variants: int, real: Pairs
) -> Pairs:
    """Pairs of synthetic images and their maps, which are read as the real ones are.

    Raises
    ------
    InputError
        If they have other channels than the real images.
    """
    like, labels = real.a.pictures[0], cast(LabelPicture, real.b.pictures[0])
    a = Domain.open([str(path) for path in files], normalisation=like.normalisation)
    if a.channels != like.channels:
        raise InputError(
            f"The synthetic images have {a.channels} channels, the real ones of the recipe "
            f"{like.channels}. Choose channels=… of the recipe's images, or another model."
        )
    repeated = [plane for plane in maps for _ in range(variants)]
    b = labelled(Domain.open(repeated), labels.labelling)
    return Pairs(a, b)


def joined(one: Pairs, other: Pairs, *, balance: bool = False) -> Pairs:
    """Pairs of both, the images of the second numbered after those of the first.

    `balance`: the first are repeated until they are about as many as the second.
    """
    times = max(round(len(other.a.pictures) / len(one.a.pictures)), 1) if balance else 1
    after = 1 + max(picture.image for picture in one.a.pictures)

    def both(first: Domain, second: Domain) -> Domain:
        further = (replace(p, image=p.image + after) for p in second.pictures)
        return replace(first, pictures=(*first.pictures * times, *further), description=None)

    return Pairs(both(one.a, other.a), both(one.b, other.b))
