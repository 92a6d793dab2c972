"""What a training learns from corrections: pairs, and places that are looked at more often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.tiling.cache import BlockCache
from napari_tincture.training.correction_set import Corrections, Record, filled
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.material import Material, Portion
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.images.pictures import AS_STORED, DECODED_BYTES, Picture, pictures_of


@dataclass(frozen=True)
class Lessons:
    """The corrections of a recipe.

    Attributes
    ----------
    pairs
        Of the chemical stain where it is known, else of the stain itself where it is right; pixels
        of which nothing is known have weight 0.
    wrong
        Inputs of stains that are wrong where no reference says what would be right.
    """

    pairs: Pairs | None
    wrong: Domain | None

    @classmethod
    def of(cls, data: Corrections, ids: Sequence[str] | None = None) -> Lessons:
        """Open the regions of a data set; their pixels are read when they are needed."""
        records, decoded = data.records(ids), BlockCache(DECODED_BYTES)

        def domain(chosen: list[Record], name: str) -> list[Picture]:
            return [_picture(data, r, name, n, decoded) for n, r in enumerate(chosen)]

        known = [record for record in records if record.reference or record.right]
        lost = [record for record in records if record.wrong and not record.reference]
        pairs = None
        if known:
            weights = domain(known, "weight")
            sources = zip(domain(known, "input"), weights, strict=True)
            targets = [_picture(data, r, _target(r), n, decoded) for n, r in enumerate(known)]
            inputs = [replace(a, weight=w) for a, w in sources]
            pairs = Pairs(Domain(tuple(inputs)), Domain(tuple(targets)))
        return cls(pairs, Domain(tuple(domain(lost, "input"))) if lost else None)

    def added(self, portion: Portion) -> Portion:
        """The training images with these beside them.

        Raises
        ------
        InputError
            If channels are others than those of the training images.
        """
        a, pairs = portion.a, portion.pairs
        if self.wrong is not None and a is not None:
            a = _joined(a, self.wrong)
        if self.pairs is not None:
            sides = portion.sources, portion.targets
            for mine, theirs in zip((self.pairs.a, self.pairs.b), sides, strict=True):
                assert theirs is not None
                _check_channels(mine, theirs)
            pairs = self.pairs
            if portion.pairs is not None:
                own = portion.pairs
                pairs = Pairs(_joined(own.a, self.pairs.a), _joined(own.b, self.pairs.b))
        return replace(portion, a=a, pairs=pairs)


def corrected(material: Material, lessons: Lessons) -> Material:
    """Training images with corrections beside them; what is judged stays as it is."""
    count = sum(len(d.pictures) for d in (lessons.pairs, lessons.wrong) if d is not None)
    note = f"{material.note}; corrections: {count} for training"
    return replace(material, train=lessons.added(material.train), note=note)


def open_lessons(described: Any, root: str | Path = ".") -> Lessons:
    """Open what a recipe says of corrections: a folder, and perhaps which regions.

    Raises
    ------
    InputError
        If the description is none, or the folder holds no corrections.
    """
    given = {"folder": described} if isinstance(described, str) else described
    if (
        not isinstance(given, Mapping)
        or set(given) - {"folder", "regions"}
        or "folder" not in given
    ):
        raise InputError(
            f"{described!r} describes no corrections: expected their folder, and perhaps regions."
        )
    return Lessons.of(filled(Path(root) / given["folder"]), given.get("regions"))


def _target(record: Record) -> str:
    return "reference" if record.reference else "stain"


def _picture(
    data: Corrections, record: Record, name: str, number: int, decoded: BlockCache
) -> Picture:
    values = record.facts["values"].get(name, {})
    norm, stats = values.get("normalisation"), values.get("stats")
    image = open_image(data.path(record, name), axes="cyx")
    fields: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in (norm or {}).items()
    }
    kind = Normalisation(**fields) if norm else AS_STORED
    (picture,) = pictures_of(image, None, kind, "background", decoded, record.id, number)
    marked = record.right or record.wrong
    return replace(
        picture,
        odds=float(record.facts["weight"]) if marked else 1.0,
        known=None if stats is None else np.asarray(stats, np.float64),
    )


def _joined(domain: Domain, more: Domain) -> Domain:
    _check_channels(more, domain)
    first = max(picture.image for picture in domain.pictures) + 1
    new = tuple(replace(p, image=first + p.image) for p in more.pictures)
    return replace(domain, pictures=(*domain.pictures, *new), description=None)


def _check_channels(mine: Domain, theirs: Domain) -> None:
    if mine.channels != theirs.channels:
        raise InputError(
            f"Corrections have {mine.channels} channels where the training images have "
            f"{theirs.channels}. Take corrections of a model for such images."
        )
