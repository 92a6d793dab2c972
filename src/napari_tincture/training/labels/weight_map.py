"""Pixel weights that teach a network to keep neighbouring cells apart (U-Net, 2015)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.errors import InputError

CUT = 6.0
"""Sum of both distances, in σ, from which on the border term is 0: it would be w0 · 1.5e-8."""
WIDEST = 5000
"""Largest σ: squares of distances are numbers of 31 bits."""
BAND = 256
"""Rows that are worked on together: their distances stay in the processor's cache."""

STRIP = 8
"""Rows of them that shifts along x are taken of together."""
HIGHEST = np.uint32(2**31)

Ints = NDArray[np.int32]
Squares = NDArray[np.uint32]


def weight_map(
    labels: NDArray[np.integer],
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    classes: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.float32]:
    """Weights w = w_c + w0 · exp(−(d1 + d2)² / 2σ²), the second term on background alone.

    Cells that touch are first parted by `split_touching`; use its labels as the target, too.
    Distances are from a pixel's centre to that of the nearest pixel of a cell, and exact. They
    look as far as `border_reach` tells: a window with so many pixels around it gives the same
    weights as the whole image. What the distances take of memory does not grow with the rows.

    Parameters
    ----------
    labels
        (y, x) integers: ids of cells, with or without gaps; 0 is background. Pixels below 0 are
        unlabelled.
    w0
        Largest weight that the border term adds.
    sigma
        Its width in pixels.
    classes
        w_c of background and of cells, see `class_weights`.

    Returns
    -------
    ndarray
        (y, x) float32, 0 on unlabelled pixels. The border term is w0 · exp(−(d1 + d2)² / 2σ²)
        where d1 + d2 < 6σ, else 0; d1 and d2 are the distances to the nearest cell and to the
        second nearest.

    Raises
    ------
    InputError
        If labels are no integers (y, x), or a weight or σ makes no sense.

    References
    ----------
    Ronneberger, Fischer, Brox, MICCAI 2015, equation 2 (w0 = 10, σ = 5).
    """
    if not (0 < sigma <= WIDEST and w0 >= 0 and min(classes) >= 0):
        raise InputError(
            f"Expected weights of 0 or more and σ above 0 px, at most {WIDEST}; got w0={w0}, "
            f"sigma={sigma}, classes={classes}."
        )
    cells = _parted(_numbered(labels))
    background, cell = classes
    weights: NDArray[np.float32] = np.where(cells > 0, cell, background).astype(np.float32)
    if w0 > 0 and cells.max(initial=0) > 1:
        reach, height = border_reach(sigma), len(cells)
        for top in range(0, height, BAND):
            bottom = min(top + BAND, height)
            first = max(top - reach, 0)
            core = slice(top - first, bottom - first)
            near, second = _two_nearest(cells[first : bottom + reach], core, reach)
            term = w0 * _falloff(near, second, sigma)
            weights[top:bottom] += np.where(cells[top:bottom] > 0, 0, term)
    weights[labels < 0] = 0
    return weights


def border_reach(sigma: float = 5.0) -> int:
    """How many pixels around a window can change its weights; 1 more is for touching cells."""
    return math.ceil(CUT * sigma) + 1


def split_touching(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Part touching cells by a line of background, one pixel wide.

    Of two cells that touch, by a side or a corner, the one with the greater id gives its pixels
    along the other. What is left touches nowhere, so that doing it again changes nothing; and
    the line is the same in a flipped or turned image, and in a window of it.

    Parameters
    ----------
    labels
        (y, x) integers: ids of cells; 0 is background, pixels below 0 are unlabelled.

    Returns
    -------
    ndarray
        Labels of the same type. A cell one pixel wide may vanish between two others.

    Raises
    ------
    InputError
        If labels are no integers (y, x).
    """
    cells = _numbered(labels)
    return np.where(_parted(cells) == cells, labels, np.zeros(1, labels.dtype))


def class_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights w_c that let every class count equally: N / (k · n_c).

    The mean over all pixels is 1. Classes without a pixel weigh 1 and are not among the k.

    Parameters
    ----------
    counts
        Labelled pixels n_c of each class in the training images; N is their sum.
    """
    present = sum(count > 0 for count in counts)
    total = sum(counts)
    return tuple(total / (present * count) if count > 0 else 1.0 for count in counts)


def _numbered(labels: NDArray[np.integer]) -> Ints:
    """Cells numbered from 1 in the order of their ids; all else is 0."""
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"Expected integer labels (y, x), got {labels.dtype} of shape {labels.shape}; round "
            "them, and take one plane at a time."
        )
    flat = labels.ravel()
    if not flat.size:
        return labels.astype(np.int32)
    # Sorting one id per run of equal pixels, rather than one per pixel.
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    ids, places = np.unique(flat[starts], return_inverse=True)
    numbers = np.maximum(places - np.count_nonzero(ids <= 0) + 1, 0).astype(np.int32)
    lengths = np.diff(starts, append=flat.size)
    return np.repeat(numbers, lengths).reshape(labels.shape)


def _parted(cells: Ints) -> Ints:
    # As unsigned numbers less 1, background is greater than any cell.
    ranks = np.pad((cells - 1).view(np.uint32), 1, constant_values=np.iinfo(np.uint32).max)
    rows = np.minimum(np.minimum(ranks[:-2], ranks[2:]), ranks[1:-1])
    lowest = np.minimum(np.minimum(rows[:, :-2], rows[:, 2:]), rows[:, 1:-1])
    return np.where(lowest < ranks[1:-1, 1:-1], np.int32(0), cells)


def _two_nearest(cells: Ints, core: slice, reach: int) -> tuple[Squares, Squares]:
    """Squared distances of the core's rows to the nearest and the second nearest cell.

    The first is right below `reach` / 2, the second below `reach`; farther ones are not too small.
    The two nearest cells of a pixel are among the two nearest of each column, measured along
    the column: were two others nearer in it, they would be nearer to the pixel. So distances
    are taken along y first, then along x, of two cells instead of one (as the separable
    Euclidean distance transform does; Felzenszwalb and Huttenlocher, 2012).
    """
    numbers, *distances = (v[core].astype(np.uint32) for v in _along_columns(cells, reach))
    # Shifts by more than the width meet nothing.
    side = min(reach, cells.shape[1] - 1)
    sides, far = ((0, 0), (side, side)), (reach + 1) ** 2
    label = np.pad(numbers, sides)
    first, second = (np.pad(v**2, sides, constant_values=far) for v in distances)
    found = np.empty((2, *numbers.shape), np.uint32)
    for y in range(0, len(label), STRIP):
        rows = slice(y, y + STRIP)
        _along_rows(label[rows], first[rows], second[rows], reach, found[:, rows])
    return found[0], found[1]


def _along_columns(cells: Ints, reach: int) -> tuple[Ints, Ints, Ints]:
    """In each column: the nearest cell, its distance, and that of the nearest other one."""
    label, first, second = _sweep(cells, reach)
    label_up, first_up, second_up = (v[::-1] for v in _sweep(cells[::-1], reach))
    second = np.minimum(second, second_up)
    other = np.where(label == label_up, reach + 1, np.maximum(first, first_up))
    second = np.minimum(second, other, dtype=np.int32)
    return np.where(first_up < first, label_up, label), np.minimum(first, first_up), second


def _sweep(cells: Ints, reach: int) -> tuple[Ints, Ints, Ints]:
    """The same of cells at or before a pixel; distances end at `reach` + 1."""
    labels, firsts, seconds = (np.empty(cells.shape, np.int32) for _ in range(3))
    label = np.zeros(cells.shape[1], np.int32)
    first, second = (np.full(cells.shape[1], reach, np.int32) for _ in range(2))
    for y, row in enumerate(cells):
        inside = row > 0
        changed = inside & (row != label)
        first += 1
        second += 1
        np.copyto(second, first, where=changed)
        np.copyto(label, row, where=changed)
        np.copyto(first, 0, where=inside)
        labels[y], firsts[y], seconds[y] = label, first, second
    limit = np.int32(reach + 1)
    return labels, np.minimum(firsts, limit), np.minimum(seconds, limit)


def _along_rows(
    label: Squares, first: Squares, second: Squares, reach: int, found: Squares
) -> None:
    """From squared distances along y, padded at both sides, to those in the plane."""
    nearest, other = found
    width = nearest.shape[1]
    side = (first.shape[1] - width) // 2
    own = _nearest(label, first, reach, nearest)
    other.fill(2 * (reach + 1) ** 2)
    candidate, equal = np.empty_like(other), np.empty_like(other)
    for step in range(-side, side + 1):
        columns = slice(side + step, side + step + width)
        np.add(second[:, columns], np.uint32(step**2), out=candidate)
        np.minimum(other, candidate, out=other)
        np.add(first[:, columns], np.uint32(step**2), out=candidate)
        # The pixel's own nearest cell does not count: equal labels set the highest bit. Masked
        # copies would take several times as long.
        np.bitwise_xor(label[:, columns], own, out=equal)
        np.subtract(equal, np.uint32(1), out=equal)
        np.bitwise_and(equal, HIGHEST, out=equal)
        np.bitwise_or(candidate, equal, out=candidate)
        np.minimum(other, candidate, out=other)


def _nearest(label: Squares, first: Squares, reach: int, nearest: Squares) -> Squares:
    """The nearest cell of each pixel, and in `nearest` its squared distance."""
    bits = int(label.max()).bit_length()
    fits = (2 * (reach + 1) ** 2) << bits < 2**32
    kind: Any = np.uint32 if fits else np.uint64
    # One number is both the distance and, in its low bits, the label: its least says which.
    keys = (first.astype(kind) << kind(bits)) | label
    width = nearest.shape[1]
    side = (first.shape[1] - width) // 2
    half = min(reach // 2 + 1, side)
    best = np.full(nearest.shape, np.iinfo(kind).max, kind)
    candidate = np.empty_like(best)
    for step in range(-half, half + 1):
        columns = slice(side + step, side + step + width)
        np.add(keys[:, columns], kind(step**2 << bits), out=candidate)
        np.minimum(best, candidate, out=best)
    nearest[...] = best >> kind(bits)
    own: Squares = (best & kind((1 << bits) - 1)).astype(np.uint32)
    return own


def _falloff(near: Squares, second: Squares, sigma: float) -> NDArray[np.float64]:
    """exp(−(d1 + d2)² / 2σ²) of squared distances, 0 from `CUT` on."""
    total = np.sqrt(near) + np.sqrt(second)
    return np.where(total < CUT * sigma, np.exp(-(total**2) / (2 * sigma**2)), 0.0)
