"""What a session that learns while somebody paints begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

from napari_tincture.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachSettings:
    """One session for the worker; its only source is the image.

    Attributes
    ----------
    classes
        Mappings of "value", "name" and "colour", two at least.
    device
        As `train` takes it.
    seed
        Decides all draws.
    network
        Options that differ from the small network's, see `Session`.
    start
        Name or file of a model to begin with, in the small network's place; empty: none.

    Raises
    ------
    InputError
        If classes are fewer than two, or two have the same value.
    """

    task: ClassVar[str] = "teach"
    classes: tuple[Mapping[str, Any], ...]
    device: str = "auto"
    seed: int = 0
    network: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""

    def __post_init__(self) -> None:
        values = [each["value"] for each in self.classes]
        if len(values) < 2:
            raise InputError("Add a second class: there is nothing to tell apart.")
        if len(set(values)) < len(values):
            raise InputError(f"Classes have the values {values}: expected each once.")

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able values that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(**{**values, "classes": tuple(values["classes"])})
