"""What the families share: parts by direction, options that are given, channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError
from napari_tincture.models.card import RGB, Channel, Part
from napari_tincture.models.checkpoints._found import MAIN, Found, Question, Recognised

if TYPE_CHECKING:
    from napari_tincture.models.checkpoints._found import State, States

    Read = Callable[[State], Part | None]

BACK = "backward"
UNREAD = "The file of {} holds another kind of network; it was left out."


@dataclass(frozen=True, slots=True)
class Kind:
    """A family, and where it is described."""

    family: str
    title: str
    citation: str


@dataclass(frozen=True, slots=True)
class Parts:
    """Networks by the names that a card gives them, and by those of the implementation."""

    parts: Mapping[str, Part]
    roles: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())


def directed(
    states: States,
    roles: Mapping[str, tuple[str, ...]],
    read_generator: Read,
    read_judge: Read,
    given: Mapping[str, Any],
) -> Parts | None:
    """Read all networks, those that lead the wanted way as the first; None without generator.

    Parameters
    ----------
    roles
        Names of networks by part: of the direction A to B, and of the other.
    """
    turned = bool(given.get("turned", False))
    parts, names, notes = dict[str, Part](), dict[str, str](), list[str]()
    present = [role for role in roles[MAIN] if role in states]
    read = {role: read_generator(states[role]) for role in present}
    if not present or None in read.values():
        return None
    turned = present == [roles[MAIN][-1]] if len(present) == 1 else turned
    for part, pair in roles.items():
        for number, role in enumerate(pair):
            if role not in states:
                continue
            backward = len(roles[MAIN]) == 2 and bool(number) != turned
            name = part if not backward else BACK if part == MAIN else f"{part}_{BACK}"
            network = read[role] if part == MAIN else read_judge(states[role])
            if network is None:
                notes.append(UNREAD.format(role))
            elif name not in parts:
                parts[name], names[name] = network, role
    return Parts(parts, names, tuple(notes))


def made(
    kind: Kind,
    found: Parts,
    questions: Mapping[str, Question],
    given: Mapping[str, Any],
    *,
    free: AbstractSet[str] = frozenset(),
    **fields: Any,
) -> Recognised:
    """Put together what was found; options that are given complete it, or contradict it.

    Parameters
    ----------
    free
        Options of generators that the tensors do not tell.
    """
    parts = {MAIN: found.parts[MAIN], **found.parts}
    for name, part in parts.items():
        if name in (MAIN, BACK):
            wanted = given if name == MAIN else _without(given, "in_channels", "out_channels")
            parts[name] = settled(part, wanted, free)
        elif name.startswith("discriminator"):
            parts[name] = settled(part, given.get("judges", {}), frozenset())
    asked = {
        key: Question(item.text, given.get(key, item.value), item.choices)
        for key, item in questions.items()
    }
    values: dict[str, Any] = {"inputs": channels(parts[MAIN].options["in_channels"]), **fields}
    values["notes"] = (*found.notes, *fields.get("notes", ()))
    whole = Found(kind.family, kind.title, parts, citation=kind.citation, questions=asked, **values)
    return Recognised(whole, found.roles)


def settled(part: Part, given: Mapping[str, Any], free: AbstractSet[str]) -> Part:
    """Take options that are given, where the tensors leave them open.

    Raises
    ------
    ModelError
        If they are given otherwise than the tensors have them.
    """
    options = dict(part.options)
    wanted = given.get("architecture", part.architecture)
    if wanted != part.architecture:
        raise ModelError(
            f"{given.get('netG', wanted)!r} was given, but the tensors are those of a "
            f"{part.architecture.replace('_', ' ')}. Leave netG out, or choose another file."
        )
    for key in options.keys() & given.keys():
        if key in free:
            options[key] = given[key]
        elif options[key] != given[key]:
            raise ModelError(
                f"{key} = {given[key]!r} was given, but the tensors of the file say "
                f"{key} = {options[key]!r}. Leave the option out, or choose another file."
            )
    return Part(part.architecture, options)


def channels(count: int, name: str = "image") -> tuple[Channel, ...]:
    """Of an image: colours if there are three."""
    if count == 3:
        return tuple(Channel(colour, colour=colour) for colour in RGB)
    return tuple(Channel(name if count == 1 else f"{name} {n}") for n in range(count))


def class_channels(names: Sequence[str], edges: bool) -> tuple[Channel, ...]:
    """Of a label map: one per class and, if wanted, that of edges between instances."""
    found = [Channel(name, "1 where a pixel is of the class", source="class") for name in names]
    edge = Channel("instance edges", "1 beside another instance", source="edge")
    return (*found, *[edge] * edges)


def _without(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in names}
