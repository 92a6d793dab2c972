"""Images that were opened and checked to be compared, and the passes that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from napari_tincture.errors import InputError
from napari_tincture.progress import CancelToken, Progress, share
from napari_tincture.raster import Raster
from napari_tincture.tasks._areas import Areas, areas_of
from napari_tincture.tasks._boxes import Box, shifted
from napari_tincture.tasks._pairs import Pairs, planes_of


class Pass(NamedTuple):
    """One plane of the reference, and regions on it that do not overlap.

    Attributes
    ----------
    place
        Along t and z in what is compared.
    at
        The same in the whole reference.
    plane
        (y, x) or (c, y, x).
    areas
        None: all of it is one region.
    report
        Told of the progress within this pass.
    """

    place: Mapping[str, int]
    at: Mapping[str, int]
    plane: Raster
    areas: Areas | None
    report: Progress


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What `compare` works on.

    Attributes
    ----------
    pairs
        Images on the reference's grid.
    images, reference
        The same as they are.
    bounds
        What of the whole reference `reference` is.
    mask, regions
        As `compare` takes them.
    metrics
        Names; None: the usual ones.
    settings, notes
        What is to be stated in the result.
    boxes
        Of the regions of the passes that were made, in pixels of the whole reference: by name and
        place along t and z.
    """

    pairs: Pairs
    images: Sequence[Raster]
    reference: Raster
    bounds: Mapping[str, tuple[int, int]]
    mask: Any
    regions: Any
    metrics: Sequence[str] | None
    settings: Mapping[str, Any]
    progress: Progress
    cancel: CancelToken
    boxes: dict[tuple[str | int, ...], Box] = field(default_factory=dict)

    @property
    def named(self) -> dict[str, Raster]:
        """Images by name."""
        return dict(zip(self.pairs.names, self.images, strict=True))

    def passes(self) -> Iterator[Pass]:
        """All passes, plane by plane."""
        found = [
            (place, self._at(place), plane, areas)
            for place, plane in planes_of(self.reference)
            for areas in self._areas(place, plane)
        ]
        if not found:
            raise InputError("The labels given as regions hold no region: all pixels are 0.")
        start = self.bounds.get("y", (0, 0))[0], self.bounds.get("x", (0, 0))[0]
        for number, (place, at, plane, areas) in enumerate(found):
            for name, box in shifted(areas.boxes, start).items() if areas else ():
                self.boxes[name, *at.values()] = box
            yield Pass(place, at, plane, areas, share(self.progress, number, len(found)))

    def _at(self, place: Mapping[str, int]) -> dict[str, int]:
        """A place in what is compared, as it is in the whole reference."""
        return {axis: i + self.bounds.get(axis, (0, 0))[0] for axis, i in place.items()}

    def _areas(self, place: Mapping[str, int], plane: Raster) -> Sequence[Areas | None]:
        found = areas_of(plane, self.regions, self.mask, self._at(place))
        return (None,) if found is None else found
