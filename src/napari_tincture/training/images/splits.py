"""Training, validation and test: by source image, never by crop."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

from napari_tincture.errors import InputError
from napari_tincture.io.images import stem_of
from napari_tincture.training.images.domains import Domain
from napari_tincture.training.images.names import listed
from napari_tincture.training.images.pairs import Pairs

T = TypeVar("T", Domain, Pairs)
Ranges = Mapping[str, Sequence[int]]
Choice = float | Sequence[str] | Mapping[str, Any]
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Splits(Generic[T]):
    """Parts that share no image, or no pixel of the only one; None where a part is empty.

    Attributes
    ----------
    note
        How it was split, for the card.
    """

    train: T
    validation: T | None
    test: T | None
    note: str


def split(
    items: T, validation: Choice = 0.1, test: Choice = 0.0, *, seed: int = 0, crop: int = 256,
    gap: int | None = None, columns: Ranges | None = None, rows: Ranges | None = None,
    planes: Ranges | None = None,
) -> Splits[T]:  # fmt: skip
    """Divide a domain, or pairs.

    Parameters
    ----------
    validation, test
        A share, which an image falls into by a hash of its name and the seed, so that further
        images move none (if none falls into a share, or all do, the image that comes nearest is
        moved); a list of names; ``{"regex": "^b"}``, searched in the name without its format; or
        ``{"ends": ["8", "9"]}``. Names go first, shares are of the rest.
    crop, gap
        A single image is split along its longer side: training first, then a gap of `gap` (the
        crop's side unless stated), validation, a gap, and test at the far end. Parts are at
        least a crop wide.
    columns, rows
        ``{"train": [0, 624], "validation": [640, 752], "test": [768, 1024]}``, of every image.
    planes
        The same of the planes of every image, in the order of its stack: neighbours may show much
        the same.

    Raises
    ------
    InputError
        If nothing is left for training, names are unknown, or an image is too small for parts.
    """
    chosen = {"columns": columns, "rows": rows, "planes": planes}
    ranges = {axis: given for axis, given in chosen.items() if given is not None}
    if ranges:
        return _explicit(items, ranges)
    if len(items.images) == 1 and all(
        isinstance(share, int | float) for share in (validation, test)
    ):
        return _by_region(items, float(validation), float(test), crop, gap)  # type: ignore[arg-type]
    names = {number: items.pictures[own[0]].name for number, own in items.images.items()}
    parts: dict[int, str] = {}
    for part, choice in (("test", test), ("validation", validation)):
        if not isinstance(choice, int | float):
            parts.update(dict.fromkeys(_named(names, choice, part) - set(parts), part))
    rest = {number: name for number, name in names.items() if number not in parts}
    parts.update(_hashed(rest, validation, test, seed))
    if "train" not in parts.values():
        raise InputError(
            f"No image of {len(names)} is left for training; take smaller parts for validation "
            "and test."
        )
    return _collected(items, parts, _note(parts, names, seed))


def position(name: str, seed: int) -> float:
    """Where a name falls in [0, 1), the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _hashed(
    names: Mapping[int, str], validation: Choice, test: Choice, seed: int
) -> dict[int, str]:
    shares = [float(s) if isinstance(s, int | float) else 0.0 for s in (test, validation)]
    if min(shares) < 0 or sum(shares) >= 1:
        raise InputError(
            f"validation={validation} and test={test}: expected shares from 0 to less than 1 in "
            "all."
        )
    ends = {"test": shares[0], "validation": sum(shares)}
    places = {number: position(name, seed) for number, name in names.items()}
    parts = {
        number: next((part for part, end in ends.items() if place < end), "train")
        for number, place in places.items()
    }
    if len(parts) > 1 and "train" not in parts.values():
        parts[max(parts, key=lambda number: places[number])] = "train"
    for part, share in zip(ends, shares, strict=True):
        free = [number for number, own in parts.items() if own == "train"]
        if share and part not in parts.values() and len(free) > 1:
            parts[min(free, key=lambda number: places[number])] = part
    return parts


def _named(names: Mapping[int, str], choice: Any, part: str) -> set[int]:
    if isinstance(choice, Mapping) and set(choice) == {"regex"}:
        return {number for number, name in names.items() if re.search(choice["regex"], name)}
    if isinstance(choice, Mapping) and set(choice) == {"ends"}:
        return {number for number, name in names.items() if name.endswith(tuple(choice["ends"]))}
    if isinstance(choice, str | Mapping):
        raise InputError(
            f"{part}={choice!r}: expected a share, a list of names, {{'regex': …}} or "
            "{'ends': […]}."
        )
    wanted = {stem_of(Path(name).name) for name in choice}
    if unknown := sorted(wanted - set(names.values())):
        raise InputError(f"{part} names images that are not there: {listed(unknown)}.")
    return {number for number, name in names.items() if name in wanted}


def _collected(items: T, parts: Mapping[int, str], note: str) -> Splits[T]:
    found: dict[str, T | None] = dict.fromkeys(PARTS)
    for part in PARTS:
        places = [i for number, own in items.images.items() if parts[number] == part for i in own]
        found[part] = items.subset(places) if places else None
    assert found["train"] is not None
    return Splits(found["train"], found["validation"], found["test"], note)


def _note(parts: Mapping[int, str], names: Mapping[int, str], seed: int) -> str:
    counts = ", ".join(f"{list(parts.values()).count(part)} {part}" for part in PARTS)
    held = {p: sorted(names[n] for n, own in parts.items() if own == p) for p in PARTS[1:]}
    named = "; ".join(f"{part}: {listed(own)}" for part, own in held.items() if own)
    return f"by image (seed {seed}): {counts}" + (f"; {named}" if named else "")


def _by_region(items: T, validation: float, test: float, crop: int, gap: int | None) -> Splits[T]:
    height, width = items.pictures[0].shape
    axis, length = ("columns", width) if width >= height else ("rows", height)
    between = crop if gap is None else gap
    ranges: dict[str, tuple[int, int]] = {}
    end = length
    for part, share in (("test", test), ("validation", validation)):
        if share:
            size = max(round(share * length), crop)
            ranges[part] = (end - size, end)
            end -= size + between
    ranges["train"] = (0, end)
    if end < crop:
        name = items.pictures[0].name
        raise InputError(
            f"The only image, {name!r} of {height} × {width} px (y × x), is too small to be split "
            f"into parts of at least a crop ({crop} px) with gaps of {between} px. Take smaller "
            "crops, a smaller gap, or validation=0 and test=0, or bring more images."
        )
    return _explicit(items, {axis: ranges})


def _explicit(items: T, chosen: Mapping[str, Ranges]) -> Splits[T]:
    if len(chosen) > 1:
        raise InputError(f"Got {' and '.join(chosen)} to split by; give one of them.")
    ((axis, ranges),) = chosen.items()
    _check_ranges(axis, ranges, min(_lengths(items, axis)))
    found: dict[str, T | None] = dict.fromkeys(PARTS)
    for part, (start, stop) in ranges.items():
        found[part] = _cut(items, axis, slice(start, stop))
    texts = [f"{ranges[p][0]}–{ranges[p][1] - 1} {p}" for p in PARTS if p in ranges]
    assert found["train"] is not None
    note = f"{axis} {', '.join(texts)}"
    return Splits(found["train"], found["validation"], found["test"], note)


def _lengths(items: Domain | Pairs, axis: str) -> list[int]:
    if axis == "planes":
        return [len(own) for own in items.images.values()]
    return [picture.shape[axis == "columns"] for picture in items.pictures]


def _cut(items: T, axis: str, where: slice) -> T:
    if axis == "planes":
        return items.subset([place for own in items.images.values() for place in own[where]])
    whole = slice(None)
    return items.part(whole, where) if axis == "columns" else items.part(where, whole)


def _check_ranges(axis: str, ranges: Ranges, length: int) -> None:
    spans = sorted(tuple(ranges[part]) for part in ranges)
    apart = all(one[1] <= other[0] for one, other in pairwise(spans))
    sound = all(len(s) == 2 and 0 <= s[0] < s[1] <= length for s in spans)
    if not (sound and apart and "train" in ranges and set(ranges) <= set(PARTS)):
        raise InputError(
            f"{axis}={dict(ranges)}: expected [start, stop] for train, and perhaps for validation "
            f"and test, within 0 and {length} and not overlapping."
        )
