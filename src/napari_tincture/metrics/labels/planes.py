"""Labels of two whole planes: what topology and distances need, which no sum of parts gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.overlap import Overlap, as_ids, measure
from napari_tincture.metrics.labels.stream import (
    LabelPair,
    LabelWindow,
    Regions,
    each,
    regions_within,
)
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.regrid import Place, pixel_size

MOST = 2**28
"""Pixels of a plane that is held at once: distances of one take 2 GiB and more."""
_Labels = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Planes:
    """Labels of both images in a region, cut to its bounding box.

    Attributes
    ----------
    found, expected : integers, (y, x)
        Labels, 0 outside the region.
    inside : bool, (y, x)
        The pixels of the region that both images have.
    size : (float, float)
        Height and width of a pixel, in µm where the reference's units are lengths.
    """

    found: _Labels
    expected: _Labels
    inside: npt.NDArray[np.bool_]
    size: tuple[float, float] = (1.0, 1.0)

    def overlap(self, found: _Labels | None = None) -> Overlap:
        """Count the pairs of labels; `found` in place of the labels that were found."""
        where = np.where(self.inside, np.int32(0), np.int32(-1))
        return measure(self.found if found is None else found, self.expected, where)[0]


def planes_of(
    found: Raster,
    expected: Raster,
    regions: Regions | None = None,
    count: int = 1,
    *,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> list[Planes]:
    """Read both images whole, as `overlaps_of` takes them; one per region.

    Objects are cut where their region ends.

    Raises
    ------
    InputError
        If there are more than 2²⁸ pixels, labels are negative or no integers, or the images are no
        planes.
    Cancelled
        If `cancel` was raised.
    """
    pair, size = LabelPair.on(found, expected), pixel_size(expected)
    shape = pair.expected.shape
    if shape[0] * shape[1] > MOST:
        raise InputError(
            f"A plane of {shape[0]} × {shape[1]} pixels: topology and distances of labels need "
            f"all of it at once, {MOST} pixels at most. Compare a region of it."
        )
    a, b = (np.zeros(shape, raster.dtype) for raster in (found, expected))
    where = np.full(shape, -1, np.int32)

    def work(place: Place) -> tuple[Place, LabelWindow]:
        labels = pair.read(place)
        within = regions_within(labels.valid, regions, place)
        where[place] = np.int32(0) if within is None else within
        return place, labels

    for place, labels in each(work, pair.places, progress, cancel):
        inside = where[place] >= 0
        for whole, part, name in ((a, labels.found, "found"), (b, labels.expected, "expected")):
            as_ids(part[inside], name)
            whole[place] = part
    return [_region(a, b, where == number, size) for number in range(count)]


def _region(
    found: _Labels, expected: _Labels, inside: npt.NDArray[np.bool_], size: tuple[float, float]
) -> Planes:
    box = tuple(_extent(np.flatnonzero(inside.any(axis=1 - axis))) for axis in (0, 1))
    a, b = (np.where(inside[box], labels[box], 0) for labels in (found, expected))
    return Planes(a, b, inside[box], size)


def _extent(places: npt.NDArray[np.intp]) -> slice:
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)
