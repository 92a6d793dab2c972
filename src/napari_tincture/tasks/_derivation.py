"""What is to be done to a label map, checked; and the classes that are meant."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tincture.deriving.moving import Bounds
from napari_tincture.errors import InputError
from napari_tincture.models.card import ModelCard
from napari_tincture.models.class_table import ClassTable, listed
from napari_tincture.models.shipped import find_card

ALL: Literal["all"] = "all"
SMOOTHEST = 4.0
"""Pixels: the usual smoothness of small deformations."""
MOST_RESIZED = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """Settings of `derive_labels` but for the classes; the same names, units and meaning."""

    elastic: float
    smoothness: float
    move: float
    turn: float
    smallest: float
    largest: float
    flip: bool
    seed: int

    @classmethod
    def of(
        cls, *, elastic: Any = 0.0, smoothness: Any = None, move: Any = 0.0, turn: Any = 0.0,
        resize: Any = 1.0, flip: Any = False, objects: Any = None, seed: Any = 0,
    ) -> Derivation:  # fmt: skip
        """Check what was given.

        Raises
        ------
        InputError
            Naming the argument that cannot be right.
        """
        bent = _number("elastic", elastic, 0)
        smooth = max(2 * bent, SMOOTHEST) if smoothness is None else smoothness
        smallest, largest = _factors(resize)
        found = cls(
            elastic=bent, smoothness=_number("smoothness", smooth, 1),
            move=_number("move", move, 0), turn=_number("turn", turn, 0, 180),
            smallest=smallest, largest=largest, flip=bool(flip), seed=_seed(seed),
        )  # fmt: skip
        found._check(objects is not None)
        return found

    @property
    def rearranges(self) -> bool:
        """Whether objects are changed one by one."""
        return (self.move, self.turn, self.smallest, self.largest) != (0, 0, 1, 1)

    @property
    def bounds(self) -> Bounds:
        """How far each object may be changed."""
        return Bounds(self.move, self.turn, self.smallest, self.largest)

    def settings(self) -> dict[str, Any]:
        """As `derive_labels` takes them."""
        found = asdict(self)
        resize = [found.pop("smallest"), found.pop("largest")]
        return {**found, "resize": resize}

    def _check(self, objects: bool) -> None:
        if self.smoothness < self.elastic:
            raise InputError(
                f"smoothness={self.smoothness:g} is less than elastic={self.elastic:g}: the map "
                "would fold over itself. Raise smoothness, or leave it out."
            )
        if self.rearranges and not objects:
            raise InputError(
                "move, turn and resize change objects, and no objects are named. Pass objects= "
                'with values or names of classes, or "all" for a map with a number per object.'
            )
        if not (self.elastic or self.flip or self.rearranges):
            raise InputError(
                "Nothing is to be changed; expected elastic, move, turn, resize or flip."
            )


@dataclass(frozen=True, slots=True)
class Chosen:
    """Values of the classes that are objects, or "all"; and of those that they may cover."""

    objects: Any
    onto: Any


def choose(
    given: Any, pixels: NDArray[Any], argument: str, name: str, model: Any,
    classes: Mapping[Any, Any] | None,
) -> Any:  # fmt: skip
    """Values of the map that are meant by values and names of classes.

    Without a model they must occur in the map; with one, they must be classes of it.

    Returns
    -------
    list of int, "all", or None
        As given, but for names.

    Raises
    ------
    InputError
        If there is no such class.
    """
    everything = argument == "objects" and isinstance(given, str) and given == ALL
    if given is None or everything:
        return given
    several = isinstance(given, Sequence | set | frozenset | np.ndarray)
    each = list(given) if several and not isinstance(given, str) else [given]
    card = None if model is None else card_of(model)
    present = np.unique(pixels).tolist()
    found = [_values_of(one, card, classes or {}, present) for one in each]
    for one, values in zip(each, found, strict=True):
        if not values:
            raise InputError(_unknown(argument, one, name, card, present))
    return sorted({int(value) for values in found for value in values})


def card_of(model: Any) -> ModelCard:
    """The card of a model, by name, path, `Model`, or as it is; without torch.

    Raises
    ------
    InputError
        If it is none of these.
    ModelError
        If it is unknown or damaged.
    """
    if isinstance(model, str | os.PathLike):
        return find_card(model)
    card = getattr(model, "card", model)
    if not isinstance(card, ModelCard):
        raise InputError(
            f"Expected a model's name, a path, a Model or its card, got {type(model).__name__}."
        )
    return card


def _values_of(
    one: Any, card: ModelCard | None, classes: Mapping[Any, Any], present: Sequence[int]
) -> list[int]:
    """Values of the map that a class has; empty if there is no such class."""
    whole = isinstance(one, int | np.integer)
    if card is None:
        named = [int(value) for value, called in classes.items() if called == one]
        return named or [value for value in present if whole and value == one]
    table = ClassTable.of(card, classes)
    if whole:
        return [int(one)] if int(one) in table.numbers else []
    numbers = [n for n, channel in enumerate(card.class_inputs) if channel.name == one]
    return [value for value, number in table.numbers.items() if number in numbers]


def _unknown(
    argument: str, one: Any, name: str, card: ModelCard | None, present: Sequence[int]
) -> str:
    if card is not None:
        return f"{argument}={one!r}: model {card.name!r} has no such class. It has {listed(card)}."
    some = ", ".join(map(str, present[:8])) + (" …" if len(present) > 8 else "")
    hint = "" if isinstance(one, int) else " To use names of classes, pass model= or classes=."
    return f"{argument}={one!r}: the label map {name!r} has the values {some}.{hint}"


def _factors(resize: Any) -> tuple[float, float]:
    pair = resize if isinstance(resize, Sequence) and not isinstance(resize, str) else None
    if pair is not None and len(pair) == 2:
        low, high = (_number("resize", n, 1 / MOST_RESIZED, MOST_RESIZED) for n in pair)
    else:
        high = _number("resize", resize, 1, MOST_RESIZED)
        low = 1 / high
    if low > high:
        raise InputError(f"resize={resize!r}: expected the least factor first.")
    return low, high


def _number(name: str, value: Any, least: float, most: float = 65_536) -> float:
    right = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not right or not least <= value <= most:
        raise InputError(f"{name}={value!r}: expected a number from {least:g} to {most:g}.")
    return float(value)


def _seed(value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
        raise InputError(f"seed={value!r}: expected a whole number from 0.")
    return int(value)
