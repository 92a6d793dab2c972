"""How well the boundaries between classes agree, up to a tolerance: sums over windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.confusion import MOST
from napari_tincture.metrics.labels.stream import (
    LabelPair,
    LabelWindow,
    Regions,
    each,
    regions_within,
)
from napari_tincture.metrics.metric import Undefined
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.regrid import Place

Mask = npt.NDArray[np.bool_]
Rows = dict[int, npt.NDArray[np.int64]]
"""By class, (regions, 4): boundary pixels found, those of them near to expected ones; boundary
pixels expected, those of them near to found ones."""


@dataclass(frozen=True, eq=False)
class Boundaries:
    """Boundary pixels of every class: its pixels with another class above, below or beside them.

    Attributes
    ----------
    tolerance : float
        Pixels that boundaries may lie apart.
    counts : mapping of int to (int, int, int, int)
        By class, boundary pixels found, those of them near to expected ones; boundary pixels
        expected, those of them near to found ones. Only classes that have some.
    """

    tolerance: float
    counts: Mapping[int, tuple[int, int, int, int]]

    def f1(self, label: int) -> float:
        """Boundary F1 of a class (Csurka et al., BMVC 2013, section 3.2), 0 … 1.

        Harmonic mean of the share of the found boundary that is near to the expected one and of
        the share of the expected that is near to the found; 0 where one of them is missing.

        Raises
        ------
        Undefined
            If neither image has a boundary of this class.
        """
        found, right, expected, met = self.counts.get(label, (0, 0, 0, 0))
        if not found and not expected:
            raise Undefined("neither image has a boundary of this class")
        if not right or not met:
            return 0.0
        return 2 / (found / right + expected / met)

    def mean_f1(self) -> float:
        """Mean over the classes that have a boundary in either image.

        Raises
        ------
        Undefined
            If none has.
        """
        if not self.counts:
            raise Undefined("neither image has boundaries")
        return sum(map(self.f1, self.counts)) / len(self.counts)


def boundaries_of(
    found: Raster,
    expected: Raster,
    tolerance: float,
    regions: Regions | None = None,
    count: int = 1,
    *,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> list[Boundaries]:
    """Compare the boundaries of two class maps, block by block, exactly.

    Parameters
    ----------
    found, expected : Raster
        Class maps (y, x), as `overlap_of` takes them. Edges of the images are no boundaries.
    tolerance : float
        Pixels of `expected` that boundaries may lie apart, from centre to centre; Csurka et al.
        take 0.0075 of the diagonal. So much is read around every area, too.
    regions
        Gives the region of every pixel of a place, -1: none. None: all are region 0. Boundary
        pixels count in their own region, wherever what they are near to lies.
    count
        Number of regions.

    Returns
    -------
    list of Boundaries
        One per region.

    Raises
    ------
    InputError
        If the tolerance is negative or not finite, there are too many classes, or the images are
        none of labels.
    Cancelled
        If `cancel` was raised.
    """
    if not 0 <= tolerance < math.inf:
        raise InputError(f"tolerance={tolerance}: expected 0 pixels or more, and finite.")
    pair = LabelPair.on(found, expected)

    def work(place: Place) -> Rows:
        window, core = _around(place, math.floor(tolerance) + 1, pair.expected.shape)
        labels = pair.read(window)
        valid = None if labels.valid is None else labels.valid[core]
        return _rows(labels, core, tolerance, regions_within(valid, regions, place), count)

    total: Rows = {}
    for rows in each(work, pair.places, progress, cancel):
        for label, row in rows.items():
            total[label] = total.get(label, 0) + row
        if len(total) > MOST:
            raise InputError(
                f"Got more than {MOST} classes. These look like objects, each with a label of its "
                "own: ask for figures of objects."
            )
    return [_of_region(total, number, tolerance) for number in range(count)]


def _of_region(total: Rows, number: int, tolerance: float) -> Boundaries:
    rows = {label: total[label][number].tolist() for label in sorted(total)}
    return Boundaries(tolerance, {label: tuple(row) for label, row in rows.items() if any(row)})


def _around(place: Place, margin: int, shape: Sequence[int]) -> tuple[Place, Place]:
    """A place with all that may be near to it, and where it lies therein."""
    window = [
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, n in zip(place, shape, strict=True)
    ]
    core = [slice(s.start - w.start, s.stop - w.start) for s, w in zip(place, window, strict=True)]
    return (window[0], window[1]), (core[0], core[1])


def _rows(
    labels: LabelWindow,
    core: Place,
    tolerance: float,
    regions: npt.NDArray[np.int32] | None,
    count: int,
) -> Rows:
    edges = [_edge(side, labels.valid) for side in labels[:2]]
    classes = np.unique(np.concatenate([v[e] for v, e in zip(labels[:2], edges, strict=True)]))
    rows: Rows = {}
    for label in classes:
        a, b = ((v == label) & e for v, e in zip(labels[:2], edges, strict=True))
        masks = a, a & _near(b, tolerance), b, b & _near(a, tolerance)
        row = [_counted(mask[core], regions, count) for mask in masks]
        rows[int(label)] = np.stack(row, axis=1)
    return rows


def _edge(values: npt.NDArray[Any], valid: Mask | None) -> Mask:
    """Pixels with another label above, below or beside them."""
    edge = np.zeros(values.shape, np.bool_)
    for axis in (0, 1):
        one, other = (np.moveaxis(values, axis, 0)[part] for part in (_LATER, _EARLIER))
        differ = one != other
        if valid is not None:
            differ &= np.moveaxis(valid, axis, 0)[1:] & np.moveaxis(valid, axis, 0)[:-1]
        turned = np.moveaxis(edge, axis, 0)
        turned[_LATER] |= differ
        turned[_EARLIER] |= differ
    return edge


_LATER, _EARLIER = slice(1, None), slice(None, -1)


def _near(mask: Mask, tolerance: float) -> Mask:
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return mask
    near: Mask = distance_transform_edt(~mask) <= tolerance
    return near


def _counted(
    mask: Mask, regions: npt.NDArray[np.int32] | None, count: int
) -> npt.NDArray[np.int64]:
    where = np.zeros(mask.sum(), np.int32) if regions is None else regions[mask]
    return np.bincount(where[where >= 0], minlength=count)
