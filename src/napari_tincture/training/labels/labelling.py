"""What the values of a label image mean, and what a network learns of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_tincture.errors import InputError
from napari_tincture.models.card import Channel

Target = Literal["classes", "instances", "borders"]
UNKNOWN = -1
"""Class of pixels that count for nothing."""
EVERY = -1
"""As the unlabelled value: there is none, 0 is a class like others."""
MOST_CLASSES = 255
PALETTE = (
    "#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2",
    "#eeca3b", "#b279a2", "#ff9da6", "#9d755d", "#bab0ac",
)  # fmt: skip
MAPS = (
    Channel("object", "Probability of object", "cyan"),
    Channel("border", "Probability of a border between touching objects", "red"),
    Channel("depth", "Depth in the object: 0 at its edge, 1 at its centre", "gray"),
)
OUTLINED = (
    Channel("object", "Probability of object", "cyan"),
    Channel("background", "Probability of background, also between touching objects", "gray"),
)
WATERSHED: Mapping[str, Any] = {"threshold": 0.5, "seed_threshold": 0.4, "border_weight": 0.5}


@dataclass(frozen=True, slots=True)
class LabelClass:
    """A class: its value in label images, and how people call and show it.

    `also`: further values that count as this class.
    """

    value: int
    name: str = ""
    colour: str = ""
    also: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Labelling:
    """How label images are read.

    Attributes
    ----------
    target
        "classes": values are classes. "instances": values are objects, 0 is background; learned
        are maps of object, border and depth. "borders": values are objects, learned are the two
        classes object and background, with the weight map of the U-Net.
    unlabelled
        Value of pixels that count for nothing, of "classes"; -1: none.
    classes
        In the order of the network's outputs; pixels of other values count for nothing. Empty:
        not known yet.
    parts_of
        Value whose connected parts (by edges) are the objects, of label images that only tell
        inside from outside; None: each value is an object.
    """

    target: Target = "classes"
    unlabelled: int = 0
    classes: tuple[LabelClass, ...] = ()
    parts_of: int | None = None

    def __post_init__(self) -> None:
        if self.target not in get_args(Target):
            raise InputError(
                f"Unknown target {self.target!r}: choose one of {', '.join(get_args(Target))}."
            )
        if self.parts_of is not None and self.target == "classes":
            raise InputError(
                f"parts_of={self.parts_of} makes objects, and the target is classes. Choose the "
                "target 'borders' or 'instances', or leave it out."
            )
        values = self.meant
        if len(set(values)) < len(values):
            raise InputError(f"Classes of {list(values)}: expected each value once.")
        if self.unlabelled in values:
            raise InputError(
                f"The value {self.unlabelled} is a class and unlabelled at once. Take it out of "
                f"the classes, or set unlabelled={EVERY} where all pixels are labelled."
            )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Labelling:
        """What the options of a recipe say.

        Parameters
        ----------
        options
            "target", "unlabelled", "parts_of" and "classes", each of which may be missing; a
            class is its value, or a mapping of "value", "name", "colour" and "also".
        """
        named = {k: options[k] for k in ("target", "unlabelled", "parts_of") if k in options}
        return cls(**named, classes=as_classes(options.get("classes") or ()))

    @property
    def values(self) -> tuple[int, ...]:
        """Of the classes."""
        return tuple(each.value for each in self.classes)

    @property
    def meant(self) -> tuple[int, ...]:
        """All values that mean a class."""
        return tuple(value for each in self.classes for value in (each.value, *each.also))

    @property
    def outputs(self) -> tuple[Channel, ...]:
        """What the network's outputs are."""
        if self.target == "classes":
            return tuple(
                Channel(each.name, f"Probability of {each.name}", each.colour, value=each.value)
                for each in self.classes
            )
        return MAPS if self.target == "instances" else OUTLINED

    @property
    def head(self) -> str:
        """What makes probabilities of the network's outputs."""
        return "sigmoid" if self.target == "instances" else "softmax"

    @property
    def instances(self) -> dict[str, Any] | None:
        """Parameters of the step from outputs to objects."""
        if self.target == "classes":
            return None
        return dict(WATERSHED) if self.target == "instances" else {"threshold": 0.5}

    def to_json(self) -> list[dict[str, Any]]:
        """The classes, as options of a recipe hold them."""
        return [_plain(each) for each in self.classes]

    def objects(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Labels (y, x) with a value per object; classes stay as they are."""
        if self.parts_of is None:
            return labels
        found: NDArray[Any] = ndimage.label(labels == self.parts_of)[0]
        return found

    def encode(self, labels: NDArray[Any], there: NDArray[np.bool_] | None) -> NDArray[np.int16]:
        """Numbers of classes (y, x) of labels (y, x); -1 where nothing is known.

        Parameters
        ----------
        there
            Which pixels have a label; None: all.
        """
        values = np.array(self.meant, np.int64)
        numbers = [n for n, each in enumerate(self.classes) for _ in (each.value, *each.also)]
        order = np.argsort(values)
        # Sorted, so that gaps cost nothing; labels may be unsigned 64-bit numbers.
        own = labels.astype(np.int64, copy=False)
        place = np.searchsorted(values[order], own).clip(max=len(values) - 1)
        meant = np.array(numbers, np.int16)[order[place]]
        found = np.where(values[order][place] == own, meant, UNKNOWN).astype(np.int16)
        if there is not None:
            found[~there] = UNKNOWN
        result: NDArray[np.int16] = found
        return result


def as_classes(given: Sequence[Any]) -> tuple[LabelClass, ...]:
    """Classes with their names and colours filled in; a class may be its value alone."""
    found = []
    for number, each in enumerate(given):
        try:
            one = each if isinstance(each, LabelClass) else _as_class(each)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{each!r} is no class: expected its value, or value, name and colour."
            ) from error
        name = one.name or f"class {one.value}"
        found.append(replace(one, name=name, colour=one.colour or PALETTE[number % len(PALETTE)]))
    return tuple(found)


def _plain(each: LabelClass) -> dict[str, Any]:
    """As JSON gives it back; most classes have one value."""
    values = asdict(each)
    also = values.pop("also")
    return {**values, "also": list(also)} if also else values


def _as_class(given: Any) -> LabelClass:
    if not isinstance(given, Mapping):
        return LabelClass(int(given))
    values: dict[str, Any] = {**given, "also": tuple(map(int, given.get("also", ())))}
    return LabelClass(**values)


def check_integers(dtype: np.dtype[Any], name: str) -> None:
    """Refuse images whose values are no labels."""
    if dtype.kind not in "biu":
        raise InputError(
            f"{name!r} holds {dtype} values, labels are integers. Convert it to a Labels layer or "
            "an integer type."
        )
