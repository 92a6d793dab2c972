"""What a result by tiles is like: planes, tiles and levels; nothing of its pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import accumulate, product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_tincture.io.pyramid import level_shapes

Block = npt.NDArray[Any]
Plane = tuple[int, ...]
TileIndex = tuple[int, int]

SMALLEST_LEVEL = 512
"""The last level is at most so large in y and x."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLayout:
    """What a result is like, before any of it is known.

    Attributes
    ----------
    leading, counts
        Axes (of "tz") over which planes lie, and the length of each.
    rows, columns
        Heights and widths of the tiles in pixels, in order.
    channels
        Channels of a tile (c, y, x); 3 or 4 of a colour image.
    dtype
        Of the tiles.
    kind
        "image" or "labels".
    rgb
        Whether c holds red, green, blue (and alpha).
    """

    leading: str
    counts: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    channels: int
    dtype: np.dtype[Any]
    kind: Literal["image", "labels"] = "image"
    rgb: bool = False

    def to_json(self) -> dict[str, Any]:
        """Give JSON-able values that `from_json` reads."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"dtype": self.dtype.str}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LiveLayout:
        """Read what `to_json` gave; lists become tuples again."""
        tuples = {name: tuple(values[name]) for name in ("counts", "rows", "columns")}
        return cls(**{**values, **tuples, "dtype": np.dtype(values["dtype"])})

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return sum(self.rows), sum(self.columns)

    @property
    def planes(self) -> list[Plane]:
        """All planes, the last leading axis fastest."""
        return list(product(*map(range, self.counts)))

    @property
    def hole(self) -> float:
        """What stands where nothing is known: NaN, or 0 of integers, transparent of colours."""
        return math.nan if self.dtype.kind == "f" and not self.rgb else 0

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Heights and widths of the levels, at least two: the last is another kind of array."""
        shapes = level_shapes(self.shape, SMALLEST_LEVEL)
        if len(shapes) == 1:
            shapes.append(tuple(-(-side // 2) for side in self.shape))
        return [(y, x) for y, x in shapes]

    @property
    def depth(self) -> int:
        """Values per pixel as they are kept: colours get an alpha channel."""
        return 4 if self.rgb else self.channels

    def edges(self) -> tuple[list[int], list[int]]:
        """Where tiles begin along y and x, and where the last ends."""
        return tuple([0, *accumulate(sizes)] for sizes in (self.rows, self.columns))  # type: ignore[return-value]
