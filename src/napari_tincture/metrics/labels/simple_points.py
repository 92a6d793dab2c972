"""Deforming a labelling of pixels without changing its topology: simple points of the plane."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Connectivity = Literal[4, 8]
"""Neighbours by which pixels of cells hang together; those of membranes do by the other."""
_Places = npt.NDArray[np.intp]
_ORDERS = (0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 2, 1, 0)
"""In which the four lattices of every second pixel along y and x are gone through."""


def warp(
    expected: Mask, found: Mask, allowed: Mask | None = None, connectivity: Connectivity = 4
) -> Mask:
    """Deform a labelling towards another one, as far as its topology lets it.

    Pixels that differ are flipped where they are simple, until none is: greedy descent, as in Jain
    et al., Boundary learning by optimization with topological constraints, CVPR 2010. The order
    may decide how far that leads; the best of four is taken. Only pixels that differ are flipped:
    a membrane follows one that it overlaps or touches, not one beyond pixels that agree. A pixel is
    simple if flipping it creates, removes, joins and splits neither cells nor membranes (Bertrand
    & Malandain, Pattern Recognition Letters 1994).

    Parameters
    ----------
    expected, found : bool, (y, x)
        True is cell, False membrane; what lies outside the image is membrane.
    allowed : bool, (y, x), optional
        Pixels that may be flipped. None: all.
    connectivity : {4, 8}
        Of cells.

    Returns
    -------
    bool, (y, x)
        The deformed `expected`.
    """
    free = np.ones_like(found) if allowed is None else allowed
    ends = (_descended(expected, found, free, connectivity, order) for order in _ORDERS)
    return min(ends, key=lambda end: int((end != found).sum()))


def ring(width: int) -> _Places:
    """Steps in flat places to the eight neighbours, clockwise from the one above; (8,)."""
    return np.array([-width, 1 - width, 1, width + 1, width, width - 1, -1, -width - 1], np.intp)


def patterns(state: Mask, places: _Places, steps: _Places) -> npt.NDArray[np.uint8]:
    """Neighbours of places in a flat image, one bit each in the order of `ring`; (n,)."""
    found = np.zeros(len(places), np.uint8)
    for bit, step in enumerate(steps):
        found |= state[places + step].astype(np.uint8) << np.uint8(bit)
    return found


@cache
def branches(connectivity: Connectivity) -> npt.NDArray[np.int8]:
    """How many parts of cells meet in a pixel, by the `patterns` of its neighbours; (256,).

    Connectivity number of Yokoi et al. (Computer Graphics and Image Processing 1975): 0 for an
    isolated pixel, and for one inside.
    """
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    x = bits if connectivity == 4 else 1 - bits
    corner, beyond = (np.roll(x, -turn, axis=1) for turn in (1, 2))
    number: npt.NDArray[Any] = (x - x * corner * beyond)[:, ::2].sum(axis=1)
    return number.astype(np.int8)


def _descended(
    expected: Mask, found: Mask, free: Mask, connectivity: Connectivity, order: Sequence[int]
) -> Mask:
    state, goal, free = (np.pad(side, 1).ravel() for side in (expected, found, free))
    width = found.shape[1] + 2
    steps, simple = ring(width), branches(connectivity) == 1
    waiting = np.flatnonzero((state != goal) & free)
    while len(waiting):
        lattice = waiting // width % 2 * 2 + waiting % width % 2
        # No two pixels of a lattice are neighbours: flipping all at once is flipping one by one.
        flipped = [_flipped(state, waiting[lattice == n], steps, simple) for n in order]
        # Whatever else was not simple still has the same neighbours.
        near = np.unique(np.concatenate(flipped)[:, None] + steps)
        waiting = near[(state[near] != goal[near]) & free[near]]
    return state.reshape(-1, width)[1:-1, 1:-1]


def _flipped(state: Mask, places: _Places, steps: _Places, simple: Mask) -> _Places:
    """Flip the simple ones of places that are no neighbours; gives those flipped."""
    chosen = places[simple[patterns(state, places, steps)]]
    state[chosen] ^= True
    return chosen
