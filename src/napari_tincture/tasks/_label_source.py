"""Label maps as models of synthesis take them: which value is which class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_tincture.diffusion.subjects import LabelMap
from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.models.card import ModelCard
from napari_tincture.models.label_maps import instance_edges
from napari_tincture.raster import Raster

NO_CLASS = -1
SHOWN = 8
"""Unknown values that a message lists."""


@dataclass(frozen=True)
class ClassTable:
    """Numbers of a model's classes by values of label maps.

    Attributes
    ----------
    numbers
        Value → number of the class, -1 for none.
    """

    numbers: Mapping[int, int]
    card: ModelCard

    @classmethod
    def of(cls, card: ModelCard, given: Mapping[Any, Any] | None = None) -> ClassTable:
        """Take the card's values, and what somebody says of others.

        Parameters
        ----------
        given
            Value of the label map → name or value of one of the model's classes, or None for no
            class.

        Raises
        ------
        InputError
            If the model has no such class.
        """
        channels = card.class_inputs
        values = [n if c.value is None else c.value for n, c in enumerate(channels)]
        known: dict[Any, int] = {value: n for n, value in enumerate(values)}
        named = {channel.name: n for n, channel in enumerate(channels)}
        numbers = dict(known)
        for value, meant in (given or {}).items():
            if meant is not None and meant not in known and meant not in named:
                listed = ", ".join(f"{v} {c.name}" for v, c in zip(values, channels, strict=True))
                raise InputError(
                    f"classes={{{value}: {meant!r}}}: model {card.name!r} has no class {meant!r}. "
                    f"It has {listed}."
                )
            place = NO_CLASS if meant is None else known.get(meant, named.get(meant, NO_CLASS))
            numbers[_whole(value)] = place
        return cls(numbers, card)

    def unknown(self, labels: NDArray[Any]) -> dict[int, int]:
        """Values (of any shape) that are no class, and how many pixels have each."""
        values, counts = np.unique(labels, return_counts=True)
        return {
            int(value): int(count)
            for value, count in zip(values, counts, strict=True)
            if int(value) not in self.numbers
        }

    def encode(self, labels: NDArray[Any], name: str) -> NDArray[np.int16]:
        """Numbers of classes (y, x), -1 for none.

        Raises
        ------
        InputError
            If a value is no class, or no pixel is of any.
        """
        values, places = np.unique(labels, return_inverse=True)
        strange = self.unknown(labels)
        if strange:
            raise InputError(self.complaint(strange, name))
        table = np.array([self.numbers[int(value)] for value in values], np.int16)
        if (table == NO_CLASS).all():
            raise InputError(
                f"The label map {name!r} is empty: no pixel is of a class. Paint some of "
                f"{self.listed}."
            )
        return table[places.reshape(labels.shape)]

    def complaint(self, strange: Mapping[int, int], name: str) -> str:
        """Say which values are unknown, and what to do."""
        some = ", ".join(f"{v} ({n} px)" for v, n in list(strange.items())[:SHOWN])
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        return (
            f"The label map {name!r} has values that are no class of model {self.card.name!r}: "
            f"{some}{more}. Its classes are {self.listed}. Repaint them, or say what they mean, "
            f"such as classes={{{next(iter(strange))}: {self.card.class_inputs[0].name!r}}}."
        )

    @property
    def listed(self) -> str:
        """All classes with their values, for a person."""
        channels = enumerate(self.card.class_inputs)
        return ", ".join(f"{n if c.value is None else c.value} {c.name}" for n, c in channels)


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"classes= names {value!r}; expected whole numbers, values of the label map."
        ) from error


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
