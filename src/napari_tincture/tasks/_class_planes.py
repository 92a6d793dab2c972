"""A label map as an image with a channel for each class, made where it is read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.diffusion.subjects import LabelMap
from napari_tincture.raster import Raster
from napari_tincture.tasks._label_source import LabelSource

BLOCK = 1024


class ClassPlanes:
    """An array (t, z, c, y, x), float32, as far as the map has t and z; reads what is asked for."""

    def __init__(self, source: LabelSource) -> None:
        self._source = source
        count = len(source.table.card.class_inputs) + source.edged
        self.shape = (*source.labels.shape[:-2], count, *source.shape)
        self.dtype, self.ndim = np.dtype("float32"), len(self.shape)
        self.chunks = (*(1,) * (self.ndim - 3), count, BLOCK, BLOCK)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """A block; the index is slices without steps."""
        index = tuple(range(*s.indices(n)) for s, n in zip(index, self.shape, strict=True))
        *leading, channels, rows, columns = index
        shape = tuple(map(len, index))
        result = np.empty(shape, np.float32)
        y, x = (slice(r.start, r.stop) for r in (rows, columns))
        for place in np.ndindex(*(len(r) for r in leading)):
            plane = tuple(r[i] for r, i in zip(leading, place, strict=True))
            own: LabelMap = self._source.subject(plane, (y, x))
            everywhere = slice(0, len(rows)), slice(0, len(columns))
            values = own.condition(*everywhere).numpy()
            result[place] = values[channels.start : channels.stop]
        return result


def as_image(source: LabelSource) -> Raster:
    """The map with a channel for each class, and one for edges if the model is told of them."""
    labels, card = source.labels, source.table.card
    axes = labels.axes[:-2] + "cyx"
    names = tuple(channel.name for channel in card.inputs if channel.source in ("class", "edge"))
    at = labels.ndim - 2
    canonical = "".join(axis for axis in "tczyx" if axis in axes)
    placement = labels.placement.insert(at, "c", "pixel")
    if canonical != axes:
        placement = placement.permute([axes.index(axis) for axis in canonical])
    return Raster.from_array(
        ClassPlanes(source), axes, name=labels.name, channels=names, placement=placement,
        order=labels.order[:-2] + "cyx" if labels.order else canonical,
    )  # fmt: skip
