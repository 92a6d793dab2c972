"""The images of a recipe, opened and divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_tincture.errors import InputError
from napari_tincture.models.normalisation import Normalisation
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.pairs import Pairs
from napari_tincture.training.images.pictures import Picture
from napari_tincture.training.images.sampling import Sampler, Sampling
from napari_tincture.training.images.splits import PARTS, Splits, split
from napari_tincture.training.labels.pictures import open_labels
from napari_tincture.training.translation import DOMAINS, TranslationRecipe

AS_SEEN = Normalisation("percentile", 1.0, 99.8, clip=(-0.5, 2.0))
"""What segmentation, and what prepares it, takes where nothing is said: the range that a person
would show."""
SPLIT = ("validation", "test", "seed", "gap", "columns", "rows", "planes")


@dataclass(frozen=True)
class Portion:
    """The images of one part, as far as there are such."""

    a: Domain | None = None
    b: Domain | None = None
    pairs: Pairs | None = None

    @property
    def sources(self) -> Domain | None:
        """All there is of the input's domain."""
        return self.a or (None if self.pairs is None else self.pairs.a)

    @property
    def targets(self) -> Domain | None:
        """All there is of the output's domain."""
        return self.b or (None if self.pairs is None else self.pairs.b)

    def sampler(self, sampling: Sampling, rank: int = 0, ranks: int = 1) -> Sampler:
        """Batches of it."""
        return Sampler(sampling, self.a, self.b, self.pairs, rank=rank, ranks=ranks)


@dataclass(frozen=True)
class Material:
    """What a recipe learns from, and what it is judged by.

    Attributes
    ----------
    train, validation, test
        Parts that share no image; of a single image, no pixel.
    note
        How they were divided, for the card.
    """

    train: Portion
    validation: Portion
    test: Portion
    note: str

    @property
    def channels(self) -> tuple[int, int]:
        """Of the input's domain and of the output's."""
        sources, targets = self.train.sources, self.train.targets
        assert sources is not None
        assert targets is not None
        return sources.channels, targets.channels


def open_material(
    recipe: TranslationRecipe,
    root: str | Path = ".",
    images: Mapping[str, Any] | None = None,
) -> Material:
    """Open the images that a recipe names, reading nothing but their metadata.

    Parameters
    ----------
    root
        What the recipe's relative paths are relative to.
    images
        "a", "b" and "pairs" (a mapping of "a" and "b") given as layers, rasters, arrays or paths
        instead of what the recipe names. For a family that learns from labels "a" and "b", or
        "image" and "labels", are the two of the pairs; for one that learns from images alone
        there is "a" only, and the pairs are those of each image and itself.

    Raises
    ------
    InputError
        If images are missing, cannot be read, do not match, or are too few or too small.
    """
    given = images or {}
    if recipe.published.labels:
        given, recipe = as_labelled(given), recipe.replace(data=as_labelled(recipe.data))
    _check_given(given)
    wanted = {name: _described(recipe, name, given) for name in DOMAINS}
    alone = recipe.published.data == "images"
    pairs = _pairs(recipe, wanted["pairs"], root)
    domains = {name: _domain(wanted[name], root, alone) for name in ("a", "b")}
    _check(recipe, domains, pairs)
    found: dict[str, Splits[Any]] = {}
    for name, items in {**domains, "pairs": pairs}.items():
        if items is not None:
            found[name] = split(items, crop=recipe.sampling.crop, **_rule(recipe, name))
    parts = {
        part: Portion(**{name: getattr(own, part) for name, own in found.items()}) for part in PARTS
    }
    apart = {part: recipe.data[part] for part in PARTS if part in recipe.data}
    parts |= {part: _portion(recipe, described, root) for part, described in apart.items()}
    if alone:
        parts = {part: _of_itself(portion) for part, portion in parts.items()}
    notes = [f"{name}: {own.note}" for name, own in found.items()]
    return Material(**parts, note="; ".join([*notes, *(f"{p} from files apart" for p in apart)]))


def _check_given(images: Mapping[str, Any]) -> None:
    unknown = sorted(set(images) - set(DOMAINS))
    pairs = images.get("pairs")
    if pairs is not None and not isinstance(pairs, Mapping):
        unknown.append("pairs that are no mapping of a and b")
    if unknown:
        raise InputError(
            f"Images were given as {', '.join(unknown)}; expected {', '.join(DOMAINS)}, the last "
            'as {"a": …, "b": …}.'
        )


def as_labelled(named: Mapping[str, Any]) -> dict[str, Any]:
    """Images that come with labels as pairs, whatever they are called."""
    rest = dict(named)
    sides = {
        side: rest.pop(name)
        for side, name in (("a", "a"), ("a", "image"), ("b", "b"), ("b", "labels"))
        if name in rest
    }
    return {**rest, "pairs": {**(rest.get("pairs") or {}), **sides}} if sides else rest


def _described(recipe: TranslationRecipe, name: str, images: Mapping[str, Any]) -> Any:
    """What is known of a domain: the recipe's description, with the given images in it."""
    described = recipe.data.get(name)
    if images.get(name) is None:
        return described
    given = images[name]
    if name == "pairs":
        return {
            **(described or {}),
            **{s: _given((described or {}).get(s), given[s]) for s in ("a", "b") if s in given},
        }
    return _given(described, given)


def _given(described: Mapping[str, Any] | None, images: Any) -> dict[str, Any]:
    own = dict(images) if isinstance(images, Mapping) else {"images": images}
    return {**(described or {}), **own}


def _domain(
    described: Mapping[str, Any] | None, root: str | Path, as_seen: bool = False
) -> Domain | None:
    usual = {"normalisation": asdict(AS_SEEN)} if as_seen else {}
    return None if described is None else Domain.from_json({**usual, **described}, root)


def _pairs(
    recipe: TranslationRecipe, described: Mapping[str, Any] | None, root: str | Path
) -> Pairs | None:
    if described is None:
        return None
    missing = [side for side in ("a", "b") if side not in described]
    if missing:
        raise InputError(f"Pairs need images a and b; {' and '.join(missing)} is missing.")
    if not recipe.published.labels:
        a, b = (Domain.from_json(described[side], root) for side in ("a", "b"))
    else:
        # Images that are made, not seen, have the range of those who make them.
        usual = {} if recipe.published.synthesizes else {"normalisation": asdict(AS_SEEN)}
        a = Domain.from_json({**usual, **described["a"]}, root)
        b = open_labels(described["b"], root, recipe.labelling)
    return Pairs.match(a, b, described.get("order"))


def _of_itself(portion: Portion) -> Portion:
    return portion if portion.a is None else Portion(pairs=Pairs.of_itself(portion.a))


def _portion(recipe: TranslationRecipe, described: Mapping[str, Any], root: str | Path) -> Portion:
    alone = recipe.published.data == "images"
    if recipe.published.labels:
        described = as_labelled(described)
    where = tuple(slice(*(described.get(axis) or (None,))) for axis in ("rows", "columns"))

    def cut(items: Any) -> Any:
        return items if items is None or where == (slice(None),) * 2 else items.part(*where)

    return Portion(
        cut(_domain(described.get("a"), root, alone)),
        cut(_domain(described.get("b"), root)),
        cut(_pairs(recipe, described.get("pairs"), root)),
    )


def _rule(recipe: TranslationRecipe, name: str) -> dict[str, Any]:
    rule = recipe.split.get(name)
    chosen = dict(rule if isinstance(rule, Mapping) else recipe.split)
    for part in ("validation", "test"):
        if part in recipe.data:
            chosen.setdefault(part, 0.0)
    unknown = sorted(set(chosen) - set(SPLIT) - {"a", "b", "pairs"})
    if unknown:
        raise InputError(
            f"The split names {', '.join(unknown)}; expected {', '.join(SPLIT)}, or these under "
            "a, b and pairs."
        )
    return {key: value for key, value in chosen.items() if key in SPLIT}


def _check(
    recipe: TranslationRecipe, domains: Mapping[str, Domain | None], pairs: Pairs | None
) -> None:
    published = recipe.published
    if published.labels and pairs is None:
        raise InputError(
            f"{published.title} learns from images and labels of the same places; give "
            "images={'image': …, 'labels': …}."
        )
    if published.data == "paired" and pairs is None:
        raise InputError(
            f"{published.title} learns from registered pairs; give pairs with images a and b. "
            "Families that need none are CycleGAN, U-GAT-IT and their like."
        )
    if published.data == "paired" and any(domain is not None for domain in domains.values()):
        raise InputError(f"{published.title} learns from pairs alone; leave out a and b.")
    if published.data == "images" and (domains["a"] is None or domains["b"] or pairs):
        raise InputError(
            f"{published.title} learns from images of one domain; give images={{'a': …}}, and "
            "neither b nor pairs."
        )
    if published.data == "unpaired":
        missing = [name for name, domain in domains.items() if domain is None]
        if missing:
            raise InputError(
                f"{published.title} learns from images of two domains, a and b; missing: "
                f"{' and '.join(missing)}."
            )
    sides = [] if pairs is None else [(pairs.a, pairs.b)]
    if domains["a"] is not None and domains["b"] is not None:
        sides.append((domains["a"], domains["b"]))
    for a, b in sides if not published.labels else ():
        _check_channels(recipe, a.channels, b.channels)


def _check_channels(recipe: TranslationRecipe, a: int, b: int) -> None:
    options = recipe.networks["forward"].options
    wanted = (
        int(options.get("in_channels", 3)) - recipe.published.noise,
        int(options.get("out_channels", 3)),
    )
    if (a, b) != wanted:
        raise InputError(
            f"The networks of recipe {recipe.name!r} lead from {wanted[0]} to {wanted[1]} "
            f"channels; the images have {a} and {b}. Choose channels, such as channels=[0], or "
            "networks for these."
        )


def windows(pictures: Sequence[Picture], side: int, most: int) -> list[tuple[int, slice, slice]]:
    """Evenly spread squares: number of the picture, and where in it.

    Every picture gives as many as fit beside each other, of all of which every n-th is taken so
    that there are at most `most`.
    """
    found = []
    for number, picture in enumerate(pictures):
        rows, columns = (_starts(n, side) for n in picture.shape)
        found += [(number, slice(y, y + side), slice(x, x + side)) for y in rows for x in columns]
    step = max(len(found) / most, 1.0)
    return [found[int(i * step)] for i in range(min(len(found), most))]


def _starts(length: int, side: int) -> list[int]:
    count = max(length // side, 1)
    rest = max(length - count * side, 0)
    return [index * side + rest * (2 * index + 1) // (2 * count) for index in range(count)]


def read_windows(domain: Domain, places: Sequence[tuple[int, slice, slice]]) -> list[Tensor]:
    """Values (c, y, x) of squares, as the networks take them; mirrored beyond the edges."""
    return [domain.pictures[number].read(y, x) for number, y, x in places]
