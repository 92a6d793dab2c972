"""Which image belongs to which, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from napari_tincture.errors import InputError

SHOWN = 5
"""Items that a message names of a longer list."""


def listed(items: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f"; … and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return "; ".join(items[:SHOWN]) + more


def matched(
    ours: Sequence[str], theirs: Sequence[str], what: str, *, partial: bool = False
) -> list[int | None]:
    """For each of our images, the place of its partner.

    Parameters
    ----------
    ours, theirs
        Names without formats. If any name is on both sides, names decide; else the order does.
    what
        What a partner is, for messages: "a mask".
    partial
        Whether some of ours may have no partner, where names decide.

    Raises
    ------
    InputError
        Naming what has no partner, or names that occur twice.
    """
    if not set(ours) & set(theirs):
        if len(ours) != len(theirs):
            raise InputError(
                f"{len(ours)} images and {len(theirs)} others of which each should be {what}: "
                f"their names share nothing ({ours[0]!r}, {theirs[0]!r}), so the order decides, "
                "and the numbers must be the same. Name partners alike, or list both."
            )
        return list(range(len(ours)))
    twice = sorted({n for names in (ours, theirs) for n in names if names.count(n) > 1})
    if twice:
        raise InputError(
            f"Names that occur twice match nothing for certain: {listed(twice)}. Rename these "
            "images, or list both sides in one order under other names."
        )
    strangers = sorted(set(theirs) - set(ours))
    alone = [] if partial else sorted(set(ours) - set(theirs))
    if strangers or alone:
        raise InputError(
            f"Images of one side alone: {listed(alone + strangers)} (first {len(alone)} without "
            f"{what}, last {len(strangers)} that fit no image). Add their partners under the same "
            "name, or take them out."
        )
    place = {name: index for index, name in enumerate(theirs)}
    return [place.get(name) for name in ours]


def numbered_alike(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """Places of ours and of theirs whose names end in the same number; others are left out.

    Parameters
    ----------
    ours, theirs
        Names without formats; leading zeros do not matter.

    Raises
    ------
    InputError
        If no number is on both sides, or one occurs twice on a side.
    """
    places = [_by_number(names) for names in (ours, theirs)]
    both = sorted(places[0].keys() & places[1].keys())
    if not both:
        raise InputError(
            f"{len(ours)} images and {len(theirs)} others have no number in common: "
            f"{listed(ours)} and {listed(theirs)}. Look whether both folders are of one sequence."
        )
    return [(places[0][number], places[1][number]) for number in both]


def _by_number(names: Sequence[str]) -> dict[int, int]:
    found: dict[int, int] = {}
    for place, name in enumerate(names):
        digits = re.findall(r"[0-9]+", name)
        if digits and found.setdefault(int(digits[-1]), place) != place:
            raise InputError(
                f"The number {int(digits[-1])} occurs twice, in {names[found[int(digits[-1])]]!r} "
                f"and {name!r}; numbers match nothing for certain. Name one sequence at a time."
            )
    return found
