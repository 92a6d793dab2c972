"""Elastic deformation of label maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_tincture.smooth_noise import TAIL, gaussian_knots

ROUNDS = 12
"""In which the place where a pixel goes is found; each at least halves the rest of usual fields."""

Labels = NDArray[np.integer]
Field = NDArray[np.float32]


def displacement(
    shape: tuple[int, int], longest: float, smoothness: float, rng: np.random.Generator
) -> Field:
    """Random displacements smoothed by a Gaussian, along which the map's edges slide.

    Simard, Steinkraus and Platt, ICDAR 2003, section 2; here the longest vector is given in place
    of their factor α. Towards an edge the part across it goes to 0: nothing leaves the map or comes
    into it from nowhere.

    Parameters
    ----------
    shape
        Height and width in pixels.
    longest
        Length of the longest vector in pixels.
    smoothness
        Standard deviation of the Gaussian in pixels, at least 1.

    Returns
    -------
    ndarray
        (2, y, x) float32, y then x, in pixels.
    """
    along = [gaussian_knots(size, smoothness) for size in shape]
    across = [_mirrored(size, smoothness) for size in shape]
    vertical = _product(across[0], along[1], rng)
    field = np.stack([vertical, _product(along[0], across[1], rng)])
    found: Field = field * np.float32(longest / max(float(np.hypot(*field).max()), 1e-12))
    return found


def _mirrored(size: int, smoothness: float) -> NDArray[np.float32]:
    """(size, knots): of knots in the map, less their mirror images at both edges, where it is 0."""
    kernel = gaussian_knots(3 * size, smoothness)
    places = (np.arange(kernel.shape[1]) - TAIL) * smoothness
    own = (places >= size - 0.5) & (places < 2 * size - 0.5)
    before, inside, behind = np.split(kernel[:, own], 3)
    found: NDArray[np.float32] = inside - before[::-1] - behind[::-1]
    return found


def _product(
    rows: NDArray[np.float32], columns: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    knots = rng.standard_normal((rows.shape[1], columns.shape[1]), np.float32)
    return np.asarray(rows @ knots @ columns.T, np.float32)


def bend(labels: Labels, field: Field) -> Labels:
    """Each pixel takes the label at its place moved by the field, of the nearest pixel.

    Lines of one pixel, which such sampling would break where the field presses them together, are
    carried to where the field puts them.

    Parameters
    ----------
    labels
        (y, x), integers.
    field
        (2, y, x) in pixels.

    Returns
    -------
    ndarray
        (y, x), same type, no value that `labels` lacks.
    """
    origins = []
    for axis, size in enumerate(labels.shape):
        own = np.arange(size, dtype=np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        origins.append(np.rint(own + field[axis]).astype(np.intp).clip(0, size - 1))
    result: Labels = labels[tuple(origins)]
    _carry(labels, field, result)
    return result


def thin(labels: Labels) -> NDArray[np.bool_]:
    """Pixels that lie in no 2 × 2 square of one label: lines of one pixel, and single pixels."""
    here = labels[:-1, :-1]
    square = (here == labels[1:, :-1]) & (here == labels[:-1, 1:]) & (here == labels[1:, 1:])
    covered = np.zeros(labels.shape, bool)
    for y in (slice(None, -1), slice(1, None)):
        for x in (slice(None, -1), slice(1, None)):
            covered[y, x] |= square
    return ~covered


def _carry(labels: Labels, field: Field, result: Labels) -> None:
    """Write lines of one pixel where they go, those of the rarest labels last."""
    pairs, kept = _lines(labels)
    start = np.argwhere(kept)
    numbers = np.zeros(labels.shape, np.intp)
    numbers[kept] = np.arange(len(start))
    place = _carried(start.T.astype(np.float32), field)
    one, other = (numbers[tuple(ends)] for ends in pairs)
    # Where a line is stretched, its pixels come to lie apart.
    apart = abs(np.rint(place[:, one]) - np.rint(place[:, other])).max(0, initial=0) > 1
    between = (place[:, one[apart]] + place[:, other[apart]]) / 2
    values = np.concatenate([labels[kept], labels[kept][one[apart]]])
    places = np.concatenate([place, between], axis=1)
    known, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts[np.searchsorted(known, values)], kind="stable")
    limits = np.array(labels.shape)[:, None] - 1
    y, x = np.rint(places[:, order]).astype(np.intp).clip(0, limits)
    # Of several labels for one place the last one stays.
    result[y, x] = values[order]


def _carried(start: NDArray[np.float32], field: Field) -> NDArray[np.float32]:
    """Where places (2, n) of the map go: from there, the field leads back to them."""
    place = start
    for _ in range(ROUNDS):
        moved = [ndimage.map_coordinates(part, place, order=1, mode="nearest") for part in field]
        place = start - np.stack(moved)
    return place


def _lines(labels: Labels) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Pixels of lines with their neighbours of the same label: as pairs (2, y x, n), and where."""
    narrow, kept = thin(labels), thin(labels)
    height, width = labels.shape
    pairs = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        left = max(-right, 0)
        columns = slice(left, width - max(right, 0))
        one = slice(0, height - down), columns
        other = slice(down, height), slice(columns.start + right, columns.stop + right)
        joined = (labels[one] == labels[other]) & (narrow[one] | narrow[other])
        kept[one] |= joined
        kept[other] |= joined
        first = np.argwhere(joined) + np.array((0, left))
        pairs.append(np.stack([first.T, (first + np.array((down, right))).T]))
    return np.concatenate(pairs, axis=2), kept
