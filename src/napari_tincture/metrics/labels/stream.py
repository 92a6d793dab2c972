"""Tables of labels of two images of any size: every pixel is read once, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from napari_tincture.errors import InputError
from napari_tincture.metrics.labels.overlap import Overlap, measure, merge
from napari_tincture.metrics.stream import AHEAD, area_edges
from napari_tincture.progress import CancelToken, Progress, as_callback
from napari_tincture.raster import Raster
from napari_tincture.regrid import OnGrid, Place, pixel_map

Result = TypeVar("Result")
Regions = Callable[[Place], npt.NDArray[np.int32]]
"""Gives the region of every pixel of a place (y, x), -1: none."""
LOOSE = 4096
"""Rows that may wait before they are summed, however small the table is."""


def overlap_of(
    found: Raster,
    expected: Raster,
    *,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> Overlap:
    """Count the pairs of labels of two images, read once and block by block.

    Parameters
    ----------
    found, expected : Raster
        Labels (y, x) of integers, 0 and up; `found` is read on the grid of `expected`, nearest
        neighbour, and pixels outside it do not count.
    progress
        True, or called with the number of finished areas and of all.
    cancel
        Checked between areas.

    Returns
    -------
    Overlap
        Memory grows with the number of pairs that touch, not with that of pixels.

    Raises
    ------
    InputError
        If labels are negative or no integers, or the images are no planes.
    Cancelled
        If `cancel` was raised.
    """
    return overlaps_of(found, expected, progress=progress, cancel=cancel)[0]


def overlaps_of(
    found: Raster,
    expected: Raster,
    regions: Regions | None = None,
    count: int = 1,
    *,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> list[Overlap]:
    """As `overlap_of`, one per region; objects are cut where their region ends.

    Parameters
    ----------
    regions
        Gives the region of every pixel of a place of `expected`, -1: none. None: all are region 0.
    count
        Number of regions.
    """
    pair = LabelPair.on(found, expected)

    def work(place: Place) -> list[Overlap]:
        a, b, valid = pair.read(place)
        return measure(a, b, regions_within(valid, regions, place), count)

    piles = [Pile() for _ in range(count)]
    for tables in each(work, pair.places, progress, cancel):
        for pile, table in zip(piles, tables, strict=True):
            pile.add(table)
    return [pile.merged() for pile in piles]


class LabelWindow(NamedTuple):
    """Labels of both images (y, x), and which pixels both have; None: all."""

    found: npt.NDArray[Any]
    expected: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_] | None


@dataclass(frozen=True)
class LabelPair:
    """Two images of labels on the grid of the second.

    Attributes
    ----------
    found, expected
        How they are read.
    places
        Areas that cover the grid once.
    """

    found: OnGrid
    expected: OnGrid
    places: Sequence[Place]

    @classmethod
    def on(cls, found: Raster, expected: Raster) -> LabelPair:
        """Check both images and cut the grid into areas, whole chunks of `expected`."""
        shape = expected.shape[-2], expected.shape[-1]
        sources = [labels_on(raster, expected) for raster in (found, expected)]
        edges = [
            area_edges(chunks, side)
            for chunks, side in zip(expected.data.chunks[-2:], shape, strict=True)
        ]
        rows, columns = ([slice(*e) for e in pairwise(along)] for along in edges)
        return cls(sources[0], sources[1], list(product(rows, columns)))

    def read(self, place: Place) -> LabelWindow:
        """Read a place of both."""
        (a, valid), (b, _) = self.found(place), self.expected(place)
        return LabelWindow(a[0], b[0], valid)


def labels_on(labels: Raster, grid: Raster) -> OnGrid:
    """Labels (y, x) as they lie on the grid of others.

    Raises
    ------
    InputError
        If they are no integers, or no plane.
    """
    return OnGrid(_as_labels(labels), pixel_map(labels, grid), (grid.shape[-2], grid.shape[-1]))


def regions_within(
    valid: npt.NDArray[np.bool_] | None, regions: Regions | None, place: Place
) -> npt.NDArray[np.int32] | None:
    """The regions of a place, -1 where a pixel has no value; None: all are region 0."""
    return without(valid, None if regions is None else regions(place))


def without(
    valid: npt.NDArray[np.bool_] | None, regions: npt.NDArray[np.int32] | None
) -> npt.NDArray[np.int32] | None:
    """Regions, -1 also where `valid` is not; None: all are region 0."""
    if valid is None:
        return regions
    return np.where(valid, np.int32(0) if regions is None else regions, np.int32(-1))


def each(
    work: Callable[[Place], Result],
    places: Sequence[Place],
    progress: bool | Progress | None,
    cancel: CancelToken | None,
) -> Iterator[Result]:
    """Results of all places in order, a few ahead, in threads."""
    report, token = as_callback(progress), cancel or CancelToken()
    report(0, len(places))
    for done, result in enumerate(_ahead(work, places), start=1):
        token.check()
        yield result
        report(done, len(places))


def _ahead(work: Callable[[Place], Result], places: Sequence[Place]) -> Iterator[Result]:
    threads = os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for place in places:
                waiting.append(pool.submit(work, place))
                if len(waiting) > max(AHEAD, threads):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _as_labels(raster: Raster) -> Raster:
    """Integers are sampled, never interpolated, whatever they were opened as."""
    if raster.axes != "yx":
        raise InputError(
            f"Labels {raster.name!r} have axes {raster.axes!r}, expected 'yx'. Take planes, "
            "image.plane(z=…), and merge what each gives."
        )
    if raster.dtype.kind not in "biu":
        raise InputError(
            f"Image {raster.name!r} is of type {raster.dtype}, labels are integers. Segment it, "
            "or convert it: its values must be labels already."
        )
    return raster if raster.kind == "labels" else replace(raster, kind="labels")


class Pile:
    """Tables that wait until it pays to sum them."""

    def __init__(self) -> None:
        self._parts: list[Overlap] = []
        self._rows = self._limit = 0

    def add(self, part: Overlap) -> None:
        """Take a further one."""
        self._parts.append(part)
        self._rows += len(part.pixels)
        # Twice what is known: every row is then moved a few times only, however many areas come.
        if self._rows > 2 * self._limit + LOOSE:
            self._parts = [merge(self._parts)]
            self._rows = self._limit = len(self._parts[0].pixels)

    def merged(self) -> Overlap:
        """The table of all."""
        return merge(self._parts)
