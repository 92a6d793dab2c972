"""Which value of a label map is which class of a model. No torch: panels look at maps with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tincture.errors import InputError
from napari_tincture.models.card import Channel, ModelCard

NO_CLASS = -1
SHOWN = 8
"""Unknown values that a message lists."""
STRIP = 2**18
"""Pixels that are counted at once."""


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
        classes = classes_of(card)
        known: dict[Any, int] = {value: n for n, value in enumerate(classes)}
        named = {channel.name: n for n, channel in enumerate(classes.values())}
        numbers = dict(known)
        for value, meant in (given or {}).items():
            if meant is not None and meant not in known and meant not in named:
                raise InputError(
                    f"classes={{{value}: {meant!r}}}: model {card.name!r} has no class {meant!r}. "
                    f"It has {listed(card)}."
                )
            place = NO_CLASS if meant is None else known.get(meant, named.get(meant, NO_CLASS))
            numbers[_whole(value)] = place
        return cls(numbers, card)

    def unknown(self, labels: NDArray[Any]) -> dict[int, int]:
        """Values (of any shape) that are no class, and how many pixels have each."""
        return self.unknown_of(value_counts(labels))

    def unknown_of(self, counts: Mapping[int, int]) -> dict[int, int]:
        """Those of counted values that are no class."""
        return {value: count for value, count in counts.items() if value not in self.numbers}

    def encode(self, labels: NDArray[Any], name: str, *, part: bool = False) -> NDArray[np.int16]:
        """Numbers of classes (y, x), -1 for none.

        Parameters
        ----------
        part
            Whether there is more of the map, which may have classes where this has none.

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
        if not part:
            self.check_painted(table, name)
        return table[places.reshape(labels.shape)]

    def check_painted(self, classes: NDArray[np.int16], name: str) -> None:
        """Refuse maps of which no pixel is of a class."""
        if classes.max() == NO_CLASS:
            raise InputError(
                f"The label map {name!r} is empty: no pixel is of a class. Paint some of "
                f"{listed(self.card)}."
            )

    def complaint(self, strange: Mapping[int, int], name: str) -> str:
        """Say which values are unknown, and what to do."""
        some = ", ".join(f"{v} ({n} px)" for v, n in list(strange.items())[:SHOWN])
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        return (
            f"The label map {name!r} has values that are no class of model {self.card.name!r}: "
            f"{some}{more}. Its classes are {listed(self.card)}. Repaint them, or say what they "
            f"mean, such as classes={{{next(iter(strange))}: {self.card.class_inputs[0].name!r}}}."
        )


def value_counts(labels: NDArray[Any]) -> dict[int, int]:
    """Values of a label map (of any shape), in their order, and how many pixels have each."""
    dtype = labels.dtype
    if dtype.kind not in "biu" or dtype.itemsize > 2:
        values, counts = np.unique(labels, return_counts=True)
    else:  # small integers are counted faster than sorted
        bits = labels.reshape(-1).view(f"u{dtype.itemsize}")
        pixels = np.zeros(256**dtype.itemsize, np.int64)
        for start in range(0, bits.size, STRIP):
            pixels += np.bincount(bits[start : start + STRIP], minlength=pixels.size)
        found = np.flatnonzero(pixels)
        values, counts = found.astype(bits.dtype).view(dtype), pixels[found]
    return dict(sorted(zip(map(int, values), map(int, counts), strict=True)))


def classes_of(card: ModelCard) -> dict[int, Channel]:
    """A model's classes by their values in label maps."""
    channels = enumerate(card.class_inputs)
    return {n if c.value is None else c.value: c for n, c in channels}


def listed(card: ModelCard) -> str:
    """All classes of a model with their values, for a person."""
    return ", ".join(f"{value} {channel.name}" for value, channel in classes_of(card).items())


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"classes= names {value!r}; expected whole numbers, values of the label map."
        ) from error
