"""Label maps as models of synthesis take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_tincture.diffusion.canvas import Place
from napari_tincture.diffusion.subjects import LabelMap
from napari_tincture.errors import InputError
from napari_tincture.io.identity import signature
from napari_tincture.models.class_table import ClassTable
from napari_tincture.models.label_maps import instance_edges
from napari_tincture.raster import Raster

AT_ONCE = 2**22
"""Pixels that are read at once: looking them up takes far more memory than they do."""


@dataclass(frozen=True)
class LabelSource:
    """The label maps of a stack.

    Attributes
    ----------
    labels
        (t, z, y, x), integers; axes t and z as far as there are such.
    instances
        The same with a number per object, of whose edges the model is told; None: `labels`.
    region, whole
        What part of a map of which shape they are; none and () if all of it.
    """

    labels: Raster
    table: ClassTable
    instances: Raster | None = None
    region: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    whole: tuple[int, ...] = ()

    def part_of(self, other: Raster) -> Raster:
        """Of another map as large as this or as all of it, what lies where this does.

        Raises
        ------
        InputError
            If it has another size.
        """
        if other.shape == self.labels.shape:
            return other
        if other.shape == self.whole:
            return other.crop({axis: slice(*edges) for axis, edges in self.region.items()})
        part = f", a part of {self.whole}" if self.region else ""
        raise InputError(
            f"The label map {other.name!r} has shape {other.shape}; the scene was drawn from one "
            f"of {self.labels.shape}{part}. Give a map of the same size, changed where the image "
            "should change."
        )

    @property
    def leading(self) -> str:
        """Axes that are run over."""
        return self.labels.axes[:-2]

    @property
    def name(self) -> str:
        """Of the label map."""
        return self.labels.name

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.labels.shape[-2:]
        return height, width

    def identity(self) -> dict[str, Any]:
        """Every pixel of the maps, and what their values mean."""
        objects = [] if self.instances is None else [self.instances]
        return {
            "maps": [signature(raster, whole=True) for raster in (self.labels, *objects)],
            "classes": {str(value): n for value, n in sorted(self.table.numbers.items())},
        }

    @property
    def edged(self) -> bool:
        """Whether the model is told of the edges of objects."""
        return any(channel.source == "edge" for channel in self.table.card.inputs)

    def subject(self, plane: tuple[int, ...], part: Place | None = None) -> LabelMap:
        """One plane, or a rectangle of it, read into memory.

        Raises
        ------
        InputError
            If it holds values that are no class, or no pixel of any.
        """
        card = self.table.card
        place = part or (slice(0, self.shape[0]), slice(0, self.shape[1]))
        classes = np.empty([s.stop - s.start for s in place], np.int16)
        for own, rows in _bands(place):
            labels = _read(self.labels, plane, rows)
            classes[own] = self.table.encode(labels, self.name, part=True)
        if part is None:
            self.table.check_painted(classes, self.name)
        edges = None
        if self.edged:
            edges = np.empty(classes.shape, bool)
            objects = self.labels if self.instances is None else self.instances
            for own, rows in _bands(place):
                edges[own] = _edges(objects, plane, rows)
        return LabelMap(classes, len(card.class_inputs), edges)


def _bands(place: Place) -> Iterator[tuple[slice, Place]]:
    """Some rows after the others, as rows of the rectangle and in the plane."""
    y, x = place
    height = max(AT_ONCE // max(x.stop - x.start, 1), 1)
    for top in range(y.start, y.stop, height):
        rows = slice(top, min(top + height, y.stop))
        yield slice(rows.start - y.start, rows.stop - y.start), (rows, x)


def _edges(raster: Raster, plane: tuple[int, ...], place: Place) -> NDArray[np.bool_]:
    """Whether a pixel lies beside another instance, which may lie beyond the rectangle."""
    around = tuple(
        slice(max(s.start - 1, 0), min(s.stop + 1, n))
        for s, n in zip(place, raster.shape[-2:], strict=True)
    )
    objects = _read(raster, plane, around)  # type: ignore[arg-type]
    marked = instance_edges(torch.from_numpy(objects.astype(np.int64))[None, None])[0, 0]
    y, x = (slice(s.start - o.start, s.stop - o.start) for s, o in zip(place, around, strict=True))
    found: NDArray[np.bool_] = marked[y, x].numpy().astype(bool)
    return found


def _read(raster: Raster, plane: tuple[int, ...], place: Place) -> NDArray[Any]:
    index = (*(slice(i, i + 1) for i in plane), *place)
    return raster.read(index).reshape([s.stop - s.start for s in place])
