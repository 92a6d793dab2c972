"""Pairs: registered images of both domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from napari_tincture.errors import InputError
from napari_tincture.io.images import stem_of
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.names import listed, matched, numbered_alike
from napari_tincture.training.images.pictures import Picture


@dataclass(frozen=True, eq=False)
class Pairs:
    """Domains whose pictures lie on each other, the first on the first and so on.

    Raises
    ------
    InputError
        If numbers or sizes differ; it names the images.
    """

    a: Domain
    b: Domain

    def __post_init__(self) -> None:
        ours, theirs = self.a.pictures, self.b.pictures
        if len(ours) != len(theirs):
            raise InputError(
                f"{len(ours)} pictures of domain a cannot be paired with {len(theirs)} of b; each "
                "needs its partner."
            )
        pairs = zip(ours, theirs, strict=True)
        wrong = [_sizes(one, other) for one, other in pairs if one.shape != other.shape]
        if wrong:
            raise InputError(
                f"{len(wrong)} of {len(ours)} pairs differ in size (y × x): {listed(wrong)}. "
                "Register them, and crop both to the same field."
            )

    @classmethod
    def match(
        cls, a: Domain, b: Domain, order: Sequence[Sequence[str]] | Literal["number"] | None = None
    ) -> Self:
        """Find the pairs of two domains.

        Parameters
        ----------
        a, b
            Matched by the names of their images, or by order where names share nothing.
        order
            Names of the images that belong together, ``[["a1", "b7"], …]``; others are left out.
            "number": those that have the last number of their names in common, such as ``t005``
            and ``man_seg005`` of the Cell Tracking Challenge.

        Raises
        ------
        InputError
            If an image has no partner, or a partner of another size or number of planes.
        """
        ours, theirs = a.images, b.images
        first, second = ([d.pictures[i[0]].name for i in d.images.values()] for d in (a, b))
        if order is None:
            partners = matched(first, second, "a partner")
            found = [(i, p) for i, p in enumerate(partners) if p is not None]
        elif order == "number":
            found = numbered_alike(first, second)
        elif isinstance(order, str):
            raise InputError(f"order={order!r}: expected 'number', or pairs of names.")
        else:
            found = [(_place(first, one, "a"), _place(second, two, "b")) for one, two in order]
        left, right = list(ours.values()), list(theirs.values())
        for i, j in found:
            if len(left[i]) != len(right[j]):
                raise InputError(
                    f"{first[i]} has {len(left[i])} planes, its partner {second[j]} "
                    f"{len(right[j])}. Crop both to the same planes."
                )
        a = a.subset([place for i, _ in found for place in left[i]])
        b = b.subset([place for _, j in found for place in right[j]])
        sides = zip(b.pictures, a.pictures, strict=True)
        return cls(a, replace(b, pictures=tuple(other.on(one) for other, one in sides)))

    @classmethod
    def of_itself(cls, domain: Domain) -> Self:
        """A domain whose pictures are to be made of themselves."""
        # Masks and weights of a pair are joined: they count once.
        bare = tuple(
            p if p.mask is None and p.weight is None else replace(p, mask=None, weight=None)
            for p in domain.pictures
        )
        return cls(domain, replace(domain, pictures=bare))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Those of domain a, after which pairs are named and split."""
        return self.a.pictures

    @property
    def images(self) -> dict[int, list[int]]:
        """As of domain a."""
        return self.a.images

    def subset(self, places: Sequence[int]) -> Self:
        """Some of the pairs."""
        return type(self)(self.a.subset(places), self.b.subset(places))

    def part(self, y: slice, x: slice) -> Self:
        """A region of every pair."""
        return type(self)(self.a.part(y, x), self.b.part(y, x))


def _place(names: Sequence[str], wanted: str, side: str) -> int:
    stem = stem_of(Path(wanted).name)
    if names.count(stem) != 1:
        raise InputError(
            f"Pair with {wanted!r}: domain {side} has {names.count(stem)} images of that name, "
            f"expected one of {listed(sorted(names))}."
        )
    return names.index(stem)


def _sizes(one: Picture, other: Picture) -> str:
    return "{} ({} × {}) and {} ({} × {})".format(one.name, *one.shape, other.name, *other.shape)
