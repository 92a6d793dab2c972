"""Bounding boxes of regions, in pixels of a plane."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_tincture.arrays import block_slices, in_memory
from napari_tincture.raster import Raster
from napari_tincture.regrid import pixel_map

Box = tuple[tuple[int, int], tuple[int, int]]
"""First pixel and the one after the last, along y and x."""


def box_of(corners: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Box:
    """The box that holds points (n, 2), in a plane of height and width `shape`."""
    low = np.floor(corners.min(axis=0)).clip(min=0).astype(int)
    high = (np.floor(corners.max(axis=0)) + 1).clip(max=shape[-2:]).astype(int)
    return (int(low[0]), int(high[0])), (int(low[1]), int(high[1]))


def boxes_of_labels(labels: Raster, plane: Raster) -> dict[int, Box]:
    """Boxes of all labels but 0, in pixels of a plane; reads the labels block by block."""
    to_plane: npt.NDArray[np.float64] = np.linalg.inv(pixel_map(labels, plane)).astype(np.float64)
    found = _own_boxes(labels)
    return {
        label: _moved(box, to_plane, plane.shape)
        for label, box in sorted(found.items())
        if label != 0
    }


def shifted(boxes: Mapping[str, Box], start: tuple[int, int]) -> dict[str, Box]:
    """Boxes as they lie in the whole that a plane was cut from, at (y, x)."""
    y, x = start
    return {
        name: ((top + y, bottom + y), (left + x, right + x))
        for name, ((top, bottom), (left, right)) in boxes.items()
    }


def regions_of(places: Mapping[tuple[str | int, ...], Box]) -> dict[str, Box]:
    """By name alone, boxes that hold those of all planes."""
    found: dict[str, Box] = {}
    for (name, *_), box in places.items():
        found[str(name)] = _joined(found.get(str(name), box), box)
    return found


def _joined(one: Box, other: Box) -> Box:
    (top, bottom), (left, right) = one
    (y0, y1), (x0, x1) = other
    return (min(top, y0), max(bottom, y1)), (min(left, x0), max(right, x1))


def _own_boxes(labels: Raster) -> dict[int, npt.NDArray[np.int64]]:
    """Label → [[y start, x start], [y stop, x stop]] in pixels of the labels."""
    from scipy.ndimage import find_objects

    found: dict[int, npt.NDArray[np.int64]] = {}
    for index in block_slices(labels.data):
        ids, numbers = np.unique(in_memory(labels.data[index]), return_inverse=True)
        numbers = numbers.reshape(
            [len(range(*s.indices(n))) for s, n in zip(index, labels.shape, strict=True)]
        )
        offset = [index[-2].start, index[-1].start]
        for label, place in zip(ids.tolist(), find_objects(numbers + 1), strict=True):
            y, x = place[-2:]
            box = np.array([[y.start, x.start], [y.stop, x.stop]]) + offset
            known = found.get(label, box)
            found[label] = np.stack([np.minimum(known[0], box[0]), np.maximum(known[1], box[1])])
    return found


def _moved(
    box: npt.NDArray[np.int64], matrix: npt.NDArray[np.float64], shape: tuple[int, ...]
) -> Box:
    # The centres of the outermost pixels, so that a box on the same grid keeps its size.
    (top, left), (bottom, right) = box[0], box[1] - 1
    corners = np.array([[y, x] for y in (top, bottom) for x in (left, right)], np.float64)
    return box_of(corners @ matrix[:2, :2].T + matrix[:2, 2], shape)
