"""Sums over the pixels of objects, taken block by block and joined in any order.

Second moments are kept about each part's own centre and moved when parts are joined (Chan, Golub
and LeVeque 1983, Algorithms for computing the sample variance), so that a place far from the
origin costs no digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Sums = dict[str, Values]
"""Arrays over objects, (n,), or (n, c) for intensities; sorted by ``label``."""
LOOSE = 65536
"""Rows that wait before they are joined."""

_JOINED: Mapping[str, Any] = {
    "top": np.minimum, "left": np.minimum, "bottom": np.maximum, "right": np.maximum,
    "weight": np.add, "sum": np.add, "low": np.minimum, "high": np.maximum,
}  # fmt: skip


def sums_of(labels: Values, origin: tuple[int, int], values: Values, valid: Values | None) -> Sums:
    """Sums over one block.

    Parameters
    ----------
    labels
        Integers (y, x), 0 is background.
    origin
        Where the block starts in its plane.
    values
        (c, y, x); no channel where there is no image.
    valid
        Boolean (y, x), where the values mean something; None: everywhere.
    """
    y, x = np.nonzero(labels)
    ids = labels[y, x]
    order = np.argsort(ids, kind="stable")
    ids, y, x = ids[order], y[order], x[order]
    starts = _starts(ids)
    own = values[:, y, x].astype(np.float64).T
    known = np.ones(len(ids), np.bool_) if valid is None else valid[y, x]
    total = _sum(starts)
    pixels = total(np.ones(len(ids), np.int64))
    cy, cx = total(y) / np.maximum(pixels, 1), total(x) / np.maximum(pixels, 1)
    dy, dx = y - np.repeat(cy, pixels), x - np.repeat(cx, pixels)
    found = {
        "label": ids[starts].astype(np.int64), "pixels": pixels,
        "y": cy + origin[0], "x": cx + origin[1],
        "yy": total(dy * dy), "xx": total(dx * dx), "yx": total(dy * dx),
        "top": y + origin[0], "left": x + origin[1],
        "bottom": y + origin[0] + 1, "right": x + origin[1] + 1,
        "weight": known.astype(np.int64), "sum": np.where(known[:, None], own, 0.0),
        "low": np.where(known[:, None], own, np.inf),
        "high": np.where(known[:, None], own, -np.inf),
    }  # fmt: skip
    return {**found, **{name: join(found[name], starts) for name, join in _reduced()}}


def joined(parts: list[Sums]) -> Sums:
    """Sums over several blocks."""
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # Equal parts in an equal order: the same digits, however blocks came.
    order = np.lexsort((whole["x"], whole["y"], whole["label"]))
    whole = {name: column[order] for name, column in whole.items()}
    starts = _starts(whole["label"])
    total = _sum(starts)
    members = np.diff(starts, append=len(order))
    pixels = total(whole["pixels"])
    found = {"label": whole["label"][starts], "pixels": pixels}
    moved = {}
    for axis in "yx":
        found[axis] = total(whole["pixels"] * whole[axis]) / np.maximum(pixels, 1)
        moved[axis] = whole[axis] - np.repeat(found[axis], members)
    for a, b in ("yy", "xx", "yx"):
        found[a + b] = total(whole[a + b] + whole["pixels"] * moved[a] * moved[b])
    return {**found, **{name: join(whole[name], starts) for name, join in _reduced()}}


class PlaneSums:
    """Sums of one plane, to which blocks are added."""

    def __init__(self) -> None:
        self._parts: list[Sums] = []
        self._rows = self._limit = 0

    def add(self, part: Sums) -> None:
        """Take a further block."""
        self._parts.append(part)
        self._rows += len(part["label"])
        # Twice what is known: every row is then moved a few times only, however many blocks come.
        if self._rows > 2 * self._limit + LOOSE:
            self._parts = [joined(self._parts)]
            self._rows = self._limit = len(self._parts[0]["label"])

    def total(self) -> Sums:
        """Sums of all blocks."""
        return joined(self._parts)


def _starts(ids: Values) -> npt.NDArray[np.intp]:
    """Where each number begins in sorted ones."""
    return np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1)) if len(ids) else np.zeros(0, np.intp)


def _sum(starts: npt.NDArray[np.intp]) -> Callable[[Values], Values]:
    def total(column: Values) -> Values:
        result: Values = np.add.reduceat(column, starts) if len(starts) else column[:0]
        return result

    return total


def _reduced() -> list[tuple[str, Callable[[Values, npt.NDArray[np.intp]], Values]]]:
    def join(name: str) -> Callable[[Values, npt.NDArray[np.intp]], Values]:
        def reduce(column: Values, starts: npt.NDArray[np.intp]) -> Values:
            result: Values = _JOINED[name].reduceat(column, starts) if len(starts) else column[:0]
            return result

        return reduce

    return [(name, join(name)) for name in _JOINED]
