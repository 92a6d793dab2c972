"""What the Train panel asks for: one frozen dataclass, checked once, and JSON on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

from napari_tincture.errors import InputError

VALUES = ("auto", "dtype", "percentile", "standard")
SIDES = ("a", "b", "pair_a", "pair_b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Images of one domain.

    Attributes
    ----------
    images
        Numbers of sources, and paths of files or folders.
    channels
        As `training.pictures.pictures_of` takes them; None: all.
    values
        How values become the networks': "dtype", "percentile" (0.1 to 99.9), "standard", or
        "auto": "dtype" for 8 bits, else "percentile".
    mask
        Number of a source with labels; labelled pixels are left out. None: nothing is.
    """

    images: tuple[int | str, ...]
    channels: tuple[int | str, ...] | None = None
    values: str = "auto"
    mask: int | None = None

    def __post_init__(self) -> None:
        if self.values not in VALUES:
            raise InputError(
                f"Expected values to be one of {', '.join(VALUES)}, got {self.values!r}."
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `asdict` gave, also through JSON."""
        given: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """One training for the worker.

    Attributes
    ----------
    name
        Of the model and of its training in the user's library.
    sides
        What is learned from: "a" and "b", "pair_a" and "pair_b", or all four; "a" for a family
        that learns from images alone.
    family, size, networks, changes
        As `training.presets.preset` takes them.
    base
        JSON of a recipe to take instead of a preset, with `changes`.
    resume
        Whether `base` is the recipe of a training that was begun, to be gone on with.
    device
        As `train` takes it.
    preview_every
        Steps between previews; 0: none.
    kept
        What the panel needs to find the sources again in another session; JSON-able.

    Raises
    ------
    InputError
        If nothing can be made of it.
    """

    task: ClassVar[str] = "train"
    name: str
    sides: Mapping[str, Side]
    family: str = ""
    size: str = "standard"
    networks: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, Any] | None = None
    resume: bool = False
    device: str = "auto"
    preview_every: int = 0
    kept: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InputError("The model has no name; give it one.")
        if not self.family and self.base is None:
            raise InputError("No family was chosen; choose one.")
        given = {side for side, own in self.sides.items() if own.images}
        for one, other in (("a", "b"), ("pair_a", "pair_b")):
            # Whether one domain is enough, its family says when the images are opened.
            if (one in given) != (other in given) and set(self.sides) != {"a"}:
                raise InputError("Images of one domain are missing; choose some for From and To.")
        if not given:
            raise InputError("There is nothing to learn from; choose layers or folders.")

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able values that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(f"Unknown settings {unknown}; expected some of {sorted(known)}.")
        sides = {name: Side.from_json(side) for name, side in values["sides"].items()}
        return cls(**{**values, "sides": sides})
