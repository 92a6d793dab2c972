"""The objects of a label map, and the map without them."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

Labels = NDArray[np.integer]
TOUCHING = np.ones((3, 3), bool)
"""Pixels touch at edges and corners."""


class Objects(NamedTuple):
    """Numbered objects of a map.

    Attributes
    ----------
    numbers
        (y, x): from 1 where there is an object, else 0.
    values
        Label of each object; of 0 nothing that counts.
    """

    numbers: NDArray[np.intp]
    values: NDArray[np.integer]

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Where there is one."""
        found: NDArray[np.bool_] = self.numbers > 0
        return found


def parts_of(labels: Labels, values: Collection[int]) -> Objects:
    """Connected parts of some classes are the objects; parts that touch at a corner are one."""
    kept = np.isin(labels, list(values))
    _, classes = np.unique(labels, return_inverse=True)
    numbers = label(np.where(kept, classes.reshape(labels.shape) + 1, 0), connectivity=2)
    return _objects(labels, numbers.astype(np.intp))


def each_value(labels: Labels) -> Objects:
    """Every value but 0 is an object."""
    values = np.unique(labels[labels != 0])
    numbers = np.where(labels == 0, 0, np.searchsorted(values, labels) + 1)
    return _objects(labels, numbers.astype(np.intp))


def surroundings(labels: Labels, objects: Objects) -> int | None:
    """The label that borders on the objects the most; None if nothing does."""
    covered = objects.covered
    ring = ndimage.binary_dilation(covered, TOUCHING) & ~covered
    values, counts = np.unique(labels[ring], return_counts=True)
    return int(values[counts.argmax()]) if len(values) else None


def without(labels: Labels, objects: Objects, onto: Collection[int]) -> Labels:
    """The map as if the objects were not there: where they are, the nearest label of `onto`.

    Where the map has none of these labels, the nearest one that is not of an object; where all is
    object, the map as it is.
    """
    covered = objects.covered
    given = np.isin(labels, list(onto)) & ~covered
    source = given if given.any() else ~covered
    result = labels.copy()
    if covered.any() and source.any():
        nearest = ndimage.distance_transform_edt(
            ~source, return_distances=False, return_indices=True
        )
        result[covered] = labels[tuple(nearest[:, covered])]
    return result


def _objects(labels: Labels, numbers: NDArray[np.intp]) -> Objects:
    values = np.zeros(int(numbers.max(initial=0)) + 1, labels.dtype)
    values[numbers] = labels
    return Objects(numbers, values)
