"""A label map as of an electron micrograph of neural tissue, made up by a few rules of geometry.

Cells are the places nearest to random points, in coordinates that are bent a little; membranes
lie between two of them, and where three meet there is a junction. Some of the small cells are
glia, and large ones hold mitochondria.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree

from napari_tincture.errors import InputError

INTERIOR, MEMBRANE, JUNCTION, GLIA, MITOCHONDRION, SYNAPSE = range(6)
NAMES = (
    "cell interior", "membrane", "membrane junction", "glia or extracellular", "mitochondrion",
    "synapse",
)  # fmt: skip
"""Classes of the values 0 to 5."""

AREA = 9000.0
"""Pixels per large cell, in the mean."""
GROUPS, COMPANIONS, AWAY = 0.3, 5, 26.0
"""Share of points that have small cells around them, how many, and how far away in pixels."""
BEND, BEND_LENGTH = 9.0, 24.0
HALF_MEMBRANE, JUNCTION_RADIUS = 2.8, 5.0
GLIA_SHARE = 0.12
LEAST_ROOM, LONGEST, GAP, WITHOUT = 14.0, 40.0, 7.5, 0.55
"""Of mitochondria: room they need, longest half axis, distance from membranes, cells without."""
SYNAPSE_LENGTH, SYNAPSE_REACH, SYNAPSE_SHARE = 9.0, 12.0, 0.005

Field = NDArray[np.float64]


def tissue_labels(size: int, seed: int) -> NDArray[np.uint8]:
    """Draw a square label map.

    Parameters
    ----------
    size
        Side in pixels, of about 4.6 nm.
    seed
        Another seed gives another map.

    Returns
    -------
    array
        (y, x) uint8, with the values of `NAMES`.

    Raises
    ------
    InputError
        If the size is not positive.
    """
    if size < 1:
        raise InputError(f"A tissue map of side {size} cannot be made; give at least 1 pixel.")
    rng = np.random.default_rng(seed)
    cell, small = _cells(size, rng)
    meeting = _meeting(cell)
    depth = distance_transform_edt(meeting < 2)
    labels = np.zeros((size, size), np.uint8)
    labels[small[cell] & (rng.random(len(small)) < GLIA_SHARE)[cell]] = GLIA
    _put_mitochondria(labels, cell, depth, rng)
    membrane = depth < HALF_MEMBRANE + _smooth(size, BEND_LENGTH, rng).clip(-1, 1.5)
    _put_synapses(labels, depth, rng)
    labels[membrane] = MEMBRANE
    labels[distance_transform_edt(meeting < 3) < JUNCTION_RADIUS] = JUNCTION
    return labels


def _cells(size: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The cell of each pixel, and by cell whether it is one of the small ones."""
    margin = 2 * np.sqrt(AREA)
    count = max(int((size + 2 * margin) ** 2 / AREA), 3)
    points = rng.uniform(-margin, size + margin, (count, 2))
    groups = np.repeat(points[rng.random(count) < GROUPS], COMPANIONS, axis=0)
    points = np.concatenate([points, groups + rng.normal(size=groups.shape) * AWAY])
    bent = [axis + BEND * _smooth(size, BEND_LENGTH, rng) for axis in np.indices((size, size))]
    _, nearest = cKDTree(points).query(np.stack(bent, -1))
    return nearest, np.arange(len(points)) >= count


def _meeting(cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many cells each square of 2 × 2 pixels has."""
    low, high = cell[:-1], cell[1:]
    found = np.sort([part[:, cut] for part in (low, high) for cut in (_LEFT, _RIGHT)], axis=0)
    count = 1 + (np.diff(found, axis=0) != 0).sum(axis=0)
    return np.pad(count, ((0, 1), (0, 1)), mode="edge") if count.size else np.ones_like(cell)


_LEFT, _RIGHT = slice(None, -1), slice(1, None)


def _put_mitochondria(
    labels: NDArray[np.uint8], cell: NDArray[np.int64], depth: Field, rng: np.random.Generator
) -> None:
    """Ellipses deep in some of the cells that have room for them."""
    order = np.argsort(depth, axis=None)[::-1]
    _, first = np.unique(cell.ravel()[order], return_index=True)
    y, x = np.indices(labels.shape)
    for top, left in zip(*np.unravel_index(order[first], labels.shape), strict=True):
        room = depth[top, left]
        if room < LEAST_ROOM or labels[top, left] != INTERIOR or rng.random() < WITHOUT:
            continue
        long = min(room * rng.uniform(0.7, 1.2), LONGEST)
        short, turn = min(long, room) * rng.uniform(0.55, 0.8), rng.uniform(0, np.pi)
        along = ((x - left) * np.cos(turn) + (y - top) * np.sin(turn)) / long
        across = ((y - top) * np.cos(turn) - (x - left) * np.sin(turn)) / short
        inside = (along**2 + across**2 < 1) & (depth > GAP) & (cell == cell[top, left])
        labels[inside] = MITOCHONDRION


def _put_synapses(labels: NDArray[np.uint8], depth: Field, rng: np.random.Generator) -> None:
    """Small patches beside some membranes."""
    near = (depth < SYNAPSE_REACH) & (labels == INTERIOR)
    patches = _smooth(labels.shape[0], SYNAPSE_LENGTH, rng)
    if near.any():
        share = min(SYNAPSE_SHARE / near.mean(), 1.0)
        labels[near & (patches > np.quantile(patches[near], 1 - share))] = SYNAPSE


def _smooth(size: int, length: float, rng: np.random.Generator) -> Field:
    """Smooth noise (y, x) with mean 0 and deviation 1."""
    pad = int(3 * length)
    noise = rng.standard_normal((size + 2 * pad, size + 2 * pad))
    found = gaussian_filter(noise, length, mode="wrap")[pad : pad + size, pad : pad + size]
    # The deviation of white noise behind a Gaussian filter.
    return np.asarray(found * (2 * np.sqrt(np.pi) * length))
