"""Pairs of label images, and what plain loops find in them."""

from __future__ import annotations

import math

import numpy as np

from napari_tincture.metrics.labels.overlap import Overlap, measure


def cells(seed: int, shape: tuple[int, int], objects: int, dtype: str = "int32") -> np.ndarray:
    """Touching objects: the nearest of random points, background where all are far."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (objects, 2)) * shape
    grid = np.mgrid[: shape[0], : shape[1]].reshape(2, -1).T
    distance = np.linalg.norm(grid[:, None] - points[None], axis=2)
    reach = 0.6 * math.sqrt(shape[0] * shape[1] / objects)
    labels = np.where(distance.min(1) < reach, distance.argmin(1) + 1, 0)
    return labels.reshape(shape).astype(dtype)


def moved(labels: np.ndarray, seed: int) -> np.ndarray:
    """The same objects, shifted, some lost, some merged, some split, and numbered anew."""
    rng = np.random.default_rng(seed)
    count = int(labels.max())
    names = rng.permutation(count + 1) + 1
    names[0] = 0
    names[rng.integers(1, count + 1, count // 6)] = 0
    names[1 : 1 + count // 6] = names[2 : 2 + count // 6]
    result = names[np.roll(labels, (1, 2), (0, 1))]
    result[:, labels.shape[1] // 2 :] += (result[:, labels.shape[1] // 2 :] > 0) * (count + 5)
    return result.astype(labels.dtype)


GRID = [
    ((40, 60), 12, "int32"),
    ((31, 17), 5, "uint16"),
    ((64, 64), 40, "int64"),
    ((9, 80), 3, "uint8"),
]


def only(found: np.ndarray, expected: np.ndarray) -> Overlap:
    (overlap,) = measure(found, expected)
    return overlap


def rows(overlap: Overlap) -> dict[tuple[int, int], int]:
    keys = zip(overlap.found.tolist(), overlap.expected.tolist(), strict=True)
    return dict(zip(keys, overlap.pixels.tolist(), strict=True))


def same(one: Overlap, other: Overlap) -> None:
    assert list(rows(one).items()) == list(rows(other).items())


def masks(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == label for label in np.unique(labels) if label]


def ious(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    table = [[(a & b).sum() / (a | b).sum() for b in masks(expected)] for a in masks(found)]
    return np.array(table).reshape(len(masks(found)), len(masks(expected)))
