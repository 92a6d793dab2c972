"""Stained objects of all objects, in an image and in its reference, of any size."""

from __future__ import annotations

from typing import NamedTuple

from napari_tincture.metrics.labels.counts import Share, covered
from napari_tincture.metrics.labels.metric import Figures
from napari_tincture.metrics.labels.overlap import Overlap, measure
from napari_tincture.metrics.labels.stream import (
    LabelPair,
    Pile,
    Regions,
    each,
    labels_on,
    regions_within,
    without,
)
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.regrid import Place

Tables = tuple[Overlap, Overlap]


class Stained(NamedTuple):
    """Cells that lie by more than half on what is stained.

    Attributes
    ----------
    found, expected
        By the image, and by its reference.
    """

    found: Share
    expected: Share


def stained_of(
    cells: Raster,
    found: Raster,
    expected: Raster,
    regions: Regions | None = None,
    count: int = 1,
    *,
    progress: bool | Progress | None = None,
    cancel: CancelToken | None = None,
) -> list[Stained]:
    """Count the stained cells of each region; a cell is cut where its region ends.

    Parameters
    ----------
    cells : Raster
        Labels of all cells (y, x).
    found, expected : Raster
        Labels of what is stained (y, x), all but 0; what one of the images does not have does not
        count. All are read on the grid of `expected`, as `overlap_of` does.
    regions, count
        As of `overlaps_of`.

    Raises
    ------
    InputError
        If labels are negative or no integers, or the images are no planes.
    Cancelled
        If `cancel` was raised.
    """
    pair, all_cells = LabelPair.on(found, expected), labels_on(cells, expected)

    def work(place: Place) -> list[list[Overlap]]:
        labels = pair.read(place)
        objects, there = all_cells(place)
        where = without(there, regions_within(labels.valid, regions, place))
        return [measure(objects[0], side > 0, where, count) for side in labels[:2]]

    piles = [[Pile() for _ in range(count)] for _ in Stained._fields]
    for sides in each(work, pair.places, progress, cancel):
        for along, tables in zip(piles, sides, strict=True):
            for pile, table in zip(along, tables, strict=True):
                pile.add(table)
    shares = [[covered(pile.merged()) for pile in along] for along in piles]
    return [Stained(*row) for row in zip(*shares, strict=True)]


def stained_figures(stained: Stained) -> Figures:
    """``cells``, ``stained_found``, ``stained_expected`` and ``stained_difference`` in percent."""
    figures = Figures()
    figures["cells"] = stained.found.all
    figures.take("stained_found", lambda: stained.found.percent)
    figures.take("stained_expected", lambda: stained.expected.percent)
    figures.take("stained_difference", lambda: stained.found.percent - stained.expected.percent)
    return figures
