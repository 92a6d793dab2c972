"""What several rows, and several comparisons, say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.counts import Limits, concordance, limits_of_agreement
from napari_tincture.metrics.metric import Undefined
from napari_tincture.raster import Raster
from napari_tincture.tasks.comparison import Comparison


def agreement_of(comparison: Comparison, found: str, expected: str) -> list[dict[str, Any]]:
    """As `Comparison.agreement`."""
    for column in (found, expected):
        if column not in comparison.figures:
            raise InputError(
                f"The table has no column {column!r}; it has {', '.join(comparison.figures)}. "
                "Numbers of objects come from comparing labels."
            )
    result = []
    for name in dict.fromkeys(row["image"] for row in comparison.table):
        rows = [row for row in comparison.table if row["image"] == name]
        pairs = [(row[found], row[expected]) for row in rows]
        pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
        line: dict[str, Any] = {"image": name, "rows": len(pairs)}
        result.append(line | _limits([a for a, _ in pairs], [b for _, b in pairs]))
    return result


def _limits(found: Sequence[float], expected: Sequence[float]) -> dict[str, float]:
    try:
        limits = limits_of_agreement(found, expected)._asdict()
    except Undefined:
        limits = dict.fromkeys(Limits._fields, math.nan)
    try:
        return {**limits, "concordance": concordance(found, expected)}
    except Undefined:
        return {**limits, "concordance": math.nan}


def joined(parts: Sequence[Comparison]) -> Comparison:
    """As `Comparison.join`."""
    if not parts:
        raise InputError("Got no comparisons to join; give one or more.")
    table: list[dict[str, Any]] = []
    maps: dict[tuple[str, str], Raster] = {}
    images: dict[str, Raster] = {}
    for part in parts:
        reference = part.settings.get("reference")
        names = {name: _fresh(name, reference, images) for name in part.images}
        table += [{**row, "image": names.get(row["image"], row["image"])} for row in part.table]
        maps |= {(names[image], column): raster for (image, column), raster in part.maps.items()}
        images |= {names[name]: image for name, image in part.images.items()}
    return Comparison(
        table,
        {"comparisons": [dict(part.settings) for part in parts]},
        tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        maps,
        {column: better for part in parts for column, better in part.better.items()},
        images=images,
    )


def _fresh(name: str, reference: Any, taken: dict[str, Any]) -> str:
    """A name that no other comparison's image has."""
    if name not in taken:
        return name
    named = f"{name} to {reference}" if reference else name
    number, result = 2, named
    while result in taken:
        result, number = f"{named} ({number})", number + 1
    return result
