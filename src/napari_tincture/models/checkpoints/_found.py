"""What was recognised in a checkpoint; torch is not needed to look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from napari_tincture.models.card import Channel, Part, Task
from napari_tincture.models.denoising import Denoising
from napari_tincture.models.normalisation import Normalisation

if TYPE_CHECKING:
    from torch import Tensor

    State = Mapping[str, Tensor]
    States = Mapping[str, State]

MAIN = "forward"
TO_NETWORK = Normalisation("dtype", target=(-1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Question:
    """Something that the tensors do not tell.

    Attributes
    ----------
    text
        What it is about, for a person.
    value
        What is assumed.
    choices
        All that it can be; empty for any value of the same kind.
    """

    text: str
    value: Any
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A model of a published implementation, recognised by names and shapes of its tensors.

    Attributes
    ----------
    family
        A file of `napari_tincture.training.objectives`.
    title
        What a person calls it.
    parts
        Its networks by the names that a card gives them, "forward" for the generator that the
        model is about.
    inputs
        What the generator takes.
    questions
        By the name of an option of `import_checkpoint`.
    notes
        What a person should know, a sentence each.
    files
        Where the networks are, by part.
    denoising
        Of a denoiser, how it was trained.
    """

    family: str
    title: str
    parts: Mapping[str, Part]
    inputs: tuple[Channel, ...] = ()
    task: Task = "stain"
    normalisation: Normalisation = TO_NETWORK
    citation: str = ""
    name: str = ""
    questions: Mapping[str, Question] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    denoising: Denoising | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the generator."""
        return self.parts[MAIN].options

    def to_json(self) -> dict[str, Any]:
        """JSON-able values that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Found:
        """Read what `to_json` gave, also after a way through JSON."""
        normal = {**values["normalisation"]}
        for key in ("target", "clip"):
            normal[key] = None if normal[key] is None else tuple(normal[key])
        questions = {
            key: Question(item["text"], item["value"], tuple(item["choices"]))
            for key, item in values["questions"].items()
        }
        made: dict[str, Any] = {
            "parts": {key: Part(**part) for key, part in values["parts"].items()},
            "inputs": tuple(Channel(**channel) for channel in values["inputs"]),
            "normalisation": Normalisation(**normal),
            "questions": questions,
            "notes": tuple(values["notes"]),
        }
        if values["denoising"] is not None:
            made["denoising"] = Denoising(**values["denoising"])
        return cls(**{**values, **made})


@dataclass(frozen=True, slots=True)
class Recognised:
    """What was found, and where the tensors of each part are.

    Attributes
    ----------
    roles
        Names of the published networks, by part.
    """

    found: Found
    roles: Mapping[str, str]
