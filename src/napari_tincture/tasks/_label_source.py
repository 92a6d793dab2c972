"""Label maps as models of synthesis take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_tincture.diffusion.subjects import LabelMap
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.class_table import ClassTable
from napari_tincture.models.label_maps import instance_edges
from napari_tincture.raster import Raster


@dataclass(frozen=True)
class LabelSource:
    """The label maps of a stack.

    Attributes
    ----------
    labels
        (t, z, y, x), integers; axes t and z as far as there are such.
    instances
        The same with a number per object, of whose edges the model is told; None: `labels`.
    """

    labels: Raster
    table: ClassTable
    instances: Raster | None = None

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

    def subject(self, plane: tuple[int, ...]) -> LabelMap:
        """One plane, read into memory.

        Raises
        ------
        InputError
            If it holds values that are no class, or no pixel of any.
        """
        card = self.table.card
        labels = _plane(self.labels, plane)
        edges = None
        if any(channel.source == "edge" for channel in card.inputs):
            objects = labels if self.instances is None else _plane(self.instances, plane)
            marked = instance_edges(torch.from_numpy(objects.astype(np.int64))[None, None])
            edges = marked[0, 0].numpy().astype(bool)
        return LabelMap(self.table.encode(labels, self.name), len(card.class_inputs), edges)


def _plane(raster: Raster, plane: tuple[int, ...]) -> NDArray[Any]:
    index = (*(slice(i, i + 1) for i in plane), slice(0, raster.shape[-2]),
             slice(0, raster.shape[-1]))  # fmt: skip
    return raster.read(index).reshape(raster.shape[-2:])


def open_label_map(labels: Any) -> Raster:
    """A label map as a Raster of kind labels.

    Raises
    ------
    InputError
        If it holds no integers, or has channels.
    """
    found = open_image(labels)
    if found.dtype.kind not in "biu" or "c" in found.axes:
        raise InputError(
            f"The label map {found.name!r} is of type {found.dtype} with axes {found.axes!r}; "
            "expected integers without an axis of channels. Convert the layer to Labels, or take "
            "one channel with plane(c=…)."
        )
    return found
