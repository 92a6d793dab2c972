"""Objects of a label map, lifted out and put back elsewhere, turned and in another size.

1. The map is filled in where the objects are.
2. Object by object, the largest first, random places are tried within the bounds, until one lies
   wholly in what may be covered, and touches no other object of the same label.
3. An object for which none is found stays where it was, as it was.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_tincture.deriving.objects import TOUCHING, Labels, Objects, without

TRIES = 30
"""Places that are tried for an object."""

Mask = NDArray[np.bool_]
Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far an object may be changed.

    Attributes
    ----------
    move
        In pixels, in any direction.
    turn
        In degrees, to both sides.
    smallest, largest
        Factors of its length and width.
    """

    move: float = 0.0
    turn: float = 0.0
    smallest: float = 1.0
    largest: float = 1.0

    def draw(self, rng: np.random.Generator) -> Change:
        """A change within the bounds: places spread evenly over a disc, factors over a ratio."""
        length, where = self.move * math.sqrt(rng.uniform()), rng.uniform(0, 2 * math.pi)
        # Whole pixels: an object that is moved alone keeps its shape.
        shift = math.trunc(length * math.sin(where)), math.trunc(length * math.cos(where))
        angle = math.radians(rng.uniform(-self.turn, self.turn))
        low, high = math.log(self.smallest), math.log(self.largest)
        return Change(shift, angle, math.exp(rng.uniform(low, high)))


class Change(NamedTuple):
    """What happens to an object: a shift (y, x) in pixels, an angle in radians, and a factor."""

    shift: tuple[int, int]
    angle: float
    factor: float


class Piece(NamedTuple):
    """An object: where its box begins, its pixels in the box, and its number."""

    corner: tuple[int, int]
    mask: Mask
    number: int


def rearrange(
    labels: Labels, objects: Objects, onto: Collection[int], bounds: Bounds,
    rng: np.random.Generator,
) -> tuple[Labels, int]:  # fmt: skip
    """Move, turn and resize the objects of a map; none is lost, none joins another.

    Objects at the map's edge, whose rest nobody knows, stay.

    Parameters
    ----------
    labels
        (y, x), integers.
    onto
        Labels that objects may cover.

    Returns
    -------
    ndarray, int
        (y, x), and how many objects are elsewhere or otherwise than they were.
    """
    ground = without(labels, objects, onto)
    scene = _Scene(np.isin(ground, list(onto)), objects.numbers.copy(), objects.values)
    changed = 0
    for piece in _pieces(objects):
        if _at_edge(piece, labels.shape):
            continue
        scene.lift(piece)
        found = scene.place_for(piece, bounds, rng)
        changed += found is not None
        scene.put(piece if found is None else found)
    result = ground.copy()
    covered = scene.taken > 0
    result[covered] = objects.values[scene.taken[covered]]
    return result, changed


def changed_piece(piece: Piece, change: Change) -> Piece:
    """The object turned and resized about its middle, and moved; of the nearest pixels."""
    height, width = piece.mask.shape
    middle = np.argwhere(piece.mask).mean(0)
    cos, sin = math.cos(change.angle), math.sin(change.angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    ends = np.array([(y, x) for y in (-0.5, height - 0.5) for x in (-0.5, width - 0.5)]) - middle
    reached = ends @ turn.T * change.factor
    low = np.floor(reached.min(0) + middle).astype(int)
    high = np.ceil(reached.max(0) + middle).astype(int)
    grid = np.indices(high - low + 1).reshape(2, -1).T + low - middle
    origins = np.rint(grid @ turn / change.factor + middle).astype(int)
    inside = ((origins >= 0) & (origins < (height, width))).all(1)
    mask = np.zeros(len(grid), bool)
    mask[inside] = piece.mask[tuple(origins[inside].T)]
    (top, left), (down, right) = piece.corner, change.shift
    corner = top + int(low[0]) + down, left + int(low[1]) + right
    return _trimmed(Piece(corner, mask.reshape(high - low + 1), piece.number))


@dataclass(frozen=True, slots=True)
class _Scene:
    """Where objects may lie, and where which ones do."""

    free: Mask
    taken: NDArray[np.intp]
    values: NDArray[np.integer]

    def lift(self, piece: Piece) -> None:
        self.taken[_window(piece)][piece.mask] = 0

    def put(self, piece: Piece) -> None:
        self.taken[_window(piece)][piece.mask] = piece.number

    def place_for(self, piece: Piece, bounds: Bounds, rng: np.random.Generator) -> Piece | None:
        parts = _parts(piece.mask)
        for _ in range(TRIES):
            found = changed_piece(piece, bounds.draw(rng))
            if self._fits(found) and _parts(found.mask) == parts:
                return found
        return None

    def _fits(self, piece: Piece) -> bool:
        if not piece.mask.any() or _at_edge(piece, self.free.shape):
            return False
        window = _window(piece)
        if not self.free[window][piece.mask].all() or self.taken[window][piece.mask].any():
            return False
        around = tuple(slice(side.start - 1, side.stop + 1) for side in window)
        rim = ndimage.binary_dilation(np.pad(piece.mask, 1), TOUCHING)
        beside = self.taken[around][rim]
        return not (self.values[beside[beside > 0]] == self.values[piece.number]).any()


def _pieces(objects: Objects) -> list[Piece]:
    """All objects, the largest first."""
    found = []
    for number, window in enumerate(ndimage.find_objects(objects.numbers), 1):
        if window is not None:
            mask = objects.numbers[window] == number
            found.append(Piece((window[0].start, window[1].start), mask, number))
    return sorted(found, key=lambda piece: -int(piece.mask.sum()))


def _window(piece: Piece) -> Window:
    (top, left), (height, width) = piece.corner, piece.mask.shape
    return slice(top, top + height), slice(left, left + width)


def _at_edge(piece: Piece, shape: tuple[int, ...]) -> bool:
    """Whether it reaches the map's outermost pixels, or beyond."""
    return any(
        side.start < 1 or side.stop > size - 1
        for side, size in zip(_window(piece), shape, strict=True)
    )


def _parts(mask: Mask) -> int:
    return int(ndimage.label(mask, TOUCHING)[1])


def _trimmed(piece: Piece) -> Piece:
    """Without empty rows and columns around it."""
    rows, columns = (np.flatnonzero(piece.mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return piece
    (y0, y1), (x0, x1) = (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))
    corner = piece.corner[0] + y0, piece.corner[1] + x0
    return Piece(corner, piece.mask[y0 : y1 + 1, x0 : x1 + 1], piece.number)
