"""What is left of the difference of two labellings once one is deformed: errors of topology."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.simple_points import (
    Connectivity,
    Mask,
    branches,
    patterns,
    ring,
    warp,
)
from napari_tincture.metrics.metric import Undefined

_Places = npt.NDArray[np.intp]


class Warping(NamedTuple):
    """Pixels that no deformation of the expected cells explains, as shares of all, 0 … 1.

    Attributes
    ----------
    error
        All of them.
    split
        Found membrane, each of which parts an expected cell.
    merge
        Found cell, each of which joins expected cells.
    """

    error: float
    split: float
    merge: float


def warping(
    found: npt.ArrayLike,
    expected: npt.ArrayLike,
    allowed: npt.ArrayLike | None = None,
    *,
    connectivity: Connectivity = 4,
    pixels: int | None = None,
) -> Warping:
    """Warping error (Jain et al., CVPR 2010): what differs after the best deformation.

    The expected cells are deformed towards the found ones without change of topology, see `warp`;
    as there, the minimum is a local one, of greedy descent. A boundary that lies elsewhere costs
    nothing; a gap in a membrane costs as many pixels as it is long, a membrane through a cell or a
    cell too many one or more.

    Parameters
    ----------
    found, expected : bool, (y, x)
        True is cell, False membrane.
    allowed : bool, (y, x), optional
        Where the expected labelling may be deformed; what differs elsewhere counts. None: all.
    connectivity : {4, 8}
        Of cells; 4, that of the ISBI 2012 challenge, lets a diagonal line of membrane part them.
    pixels : int, optional
        That shares are of. None: all of the image.

    Returns
    -------
    Warping
        ``split + merge`` is what the challenge ranked as minimum splits and mergers warping error,
        pixel by pixel; there merging was looked for among eight neighbours, here among those
        that cells hang together by.

    Raises
    ------
    InputError
        If shapes differ, or are none of planes.
    Undefined
        If there are no pixels.
    """
    a, b = as_masks(found, expected)
    free = None if allowed is None else as_masks(allowed, expected)[0]
    total = a.size if pixels is None else pixels
    if not total:
        raise Undefined("no pixel was compared")
    state = warp(b, a, free, connectivity)
    wrong = state != a
    split, merge = _parting(state, wrong, connectivity), _joining(state, wrong, connectivity)
    return Warping(int(wrong.sum()) / total, split / total, merge / total)


def as_masks(one: npt.ArrayLike, other: npt.ArrayLike) -> tuple[Mask, Mask]:
    """Both as booleans; all but 0 is True."""
    a, b = (np.asarray(side) != 0 for side in (one, other))
    if a.ndim != 2 or a.shape != b.shape:
        raise InputError(
            f"Planes of shapes {a.shape} and {b.shape}: expected equal ones, (y, x). Crop or "
            "resample one; take stacks plane by plane."
        )
    return a, b


def _parting(state: Mask, wrong: Mask, connectivity: Connectivity) -> int:
    """Pixels of cells that part their cell if they turn into membrane.

    Where k branches of a cell meet in a pixel and its neighbours are of m membranes, k - m cells
    come about: by Euler's formula, for the m membranes become one.
    """
    padded = np.pad(state, 1)
    places = np.flatnonzero(np.pad(wrong & state, 1))
    steps = ring(padded.shape[1])
    meeting = branches(connectivity)[patterns(padded.ravel(), places, steps)]
    membranes = _parts(~padded, 12 - connectivity).ravel()
    around = _distinct(membranes[places[:, None] + _near(steps, 12 - connectivity)])
    return int((meeting > around).sum())


def _joining(state: Mask, wrong: Mask, connectivity: Connectivity) -> int:
    """Pixels of membrane that join several cells if they turn into cell."""
    padded = np.pad(state, 1)
    places = np.flatnonzero(np.pad(wrong & ~state, 1))
    cells = _parts(padded, connectivity).ravel()
    steps = _near(ring(padded.shape[1]), connectivity)
    return int((_distinct(cells[places[:, None] + steps]) > 1).sum())


def _near(steps: _Places, connectivity: int) -> _Places:
    return steps[::2] if connectivity == 4 else steps


def _parts(mask: Mask, connectivity: int) -> npt.NDArray[np.int32]:
    from scipy.ndimage import label

    parts: npt.NDArray[np.int32] = label(mask, np.ones((3, 3)) if connectivity == 8 else None)[0]
    return parts


def _distinct(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """Number of different labels of each row, without 0; (n,)."""
    ordered = np.sort(labels, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = 0
    number: npt.NDArray[np.intp] = (ordered > 0).sum(axis=1, dtype=np.intp)
    return number
