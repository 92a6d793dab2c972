"""Checkpoints of published implementations as models: recognised, completed, converted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.by_name import own_modules
from napari_tincture.errors import ModelError
from napari_tincture.models.card import ModelCard, Part
from napari_tincture.models.checkpoints import SUPPORTED
from napari_tincture.models.checkpoints._alien import described
from napari_tincture.models.checkpoints._files import Gathered, gather, unwrapped
from napari_tincture.models.checkpoints._found import MAIN, TO_NETWORK, Found, Question, Recognised
from napari_tincture.models.checkpoints._kinds import channels
from napari_tincture.models.checkpoints._options import translated
from napari_tincture.models.registry import build_network, room_of

if TYPE_CHECKING:
    from os import PathLike

    from torch import Tensor, nn

    from napari_tincture.models.checkpoints._found import State, States
    from napari_tincture.models.model import Model

ROOM = "napari_tincture.models.checkpoints"
UNKNOWN = "Unknown: ask who trained it."


def inspect(path: str | PathLike[str], **options: Any) -> Found:
    """Recognise a checkpoint without building its networks or reading its weights.

    Raises
    ------
    ModelError
        See `convert`.
    """
    gathered, found = _recognised(Path(path), options)
    for name, part in found.found.parts.items():
        _checked(gathered, found.roles[name], room_of(name, _denoises(found)), part)
    return found.found


def convert(path: str | PathLike[str], **options: Any) -> tuple[Found, Model]:
    """Make a model of a checkpoint.

    Raises
    ------
    ModelError
        If it is damaged, of no known family, contradicts the options that are given, or has a
        tensor of a wrong name or shape; the message names it.
    """
    gathered, found = _recognised(Path(path), options)
    networks = {
        name: _filled(gathered, found.roles[name], room_of(name, _denoises(found)), part)
        for name, part in found.found.parts.items()
    }
    from napari_tincture.models.model import Model

    card = card_of(found.found, networks[MAIN])
    return found.found, Model(networks.pop(MAIN), card, networks)


def generator_of(loaded: Any, origin: str) -> tuple[Part, State] | None:
    """A generator whose state dict was read, and its tensors; None if no family knows it.

    Raises
    ------
    ModelError
        If it is no state dict, or a tensor has a wrong name or shape.
    """
    states = unwrapped(loaded, origin)
    hits = _hits(states, {"turned": False})
    if not hits:
        return None
    found = next(iter(hits.values()))
    if _denoises(found):
        return None  # it makes no image of another one
    gathered = Gathered(states, dict.fromkeys(states, Path(origin)), origin)
    part = found.found.parts[MAIN]
    return part, _checked(gathered, found.roles[MAIN], room_of(MAIN), part)[1]


def families() -> tuple[str, ...]:
    """Names of all families that can be imported, sorted."""
    return tuple(sorted(own_modules(ROOM, frozenset())))


def card_of(found: Found, network: nn.Module) -> ModelCard:
    """The card of a generator that was found."""
    part = found.parts[MAIN]
    # A denoiser may also tell a variance, which is no image.
    outputs = part.options.get("image_channels", part.options["out_channels"])
    source = Path(found.files[MAIN]).name
    return ModelCard(
        name=found.name,
        task=found.task,
        architecture=part.architecture,
        options=part.options,
        inputs=found.inputs,
        outputs=channels(outputs, "stain" if found.denoising is None else "image"),
        normalisation=found.normalisation,
        target_normalisation=TO_NETWORK,
        output_range=TO_NETWORK.target,
        rgb_output=outputs == 3,
        family=found.family,
        parts={name: other for name, other in found.parts.items() if name != MAIN},
        denoising=found.denoising,
        extras=dict(getattr(network, "extras", {})),
        description=f"{found.title}, imported from {source}. What it does is not known here.",
        licence=UNKNOWN,
        data=UNKNOWN,
        citation=found.citation,
    )


def _recognised(path: Path, options: Mapping[str, Any]) -> tuple[Gathered, Recognised]:
    given = translated(options)
    gathered = gather(path, given.pop("epoch", None))
    given.setdefault("turned", gathered.turned)
    hits = _hits(gathered.states, given)
    if not hits:
        asked = f" as {given['family']}" if "family" in given else ""
        raise ModelError(
            f"{path} is not recognised{asked}: {described(gathered.states)}. Generators of "
            f"{SUPPORTED} can be imported."
        )
    if len(hits) > 1:
        raise ModelError(f"{path} could be of {', '.join(hits)}: give family=.")
    (recognised,) = hits.values()
    files = {name: str(gathered.files[role]) for name, role in recognised.roles.items()}
    questions = {**_family_question(gathered.states, given, recognised.found)}
    questions |= recognised.found.questions
    whole = dataclasses.replace(
        recognised.found, name=gathered.name, files=files, questions=questions
    )
    return gathered, dataclasses.replace(recognised, found=whole)


def _hits(states: States, given: Mapping[str, Any]) -> dict[str, Recognised]:
    names = families()
    if "family" in given:
        if given["family"] not in names:
            raise ModelError(
                f"Unknown family {given['family']!r}: choose one of {', '.join(names)}."
            )
        names = (given["family"],)
    tried = {name: import_module(f"{ROOM}.{name}").recognise(states, given) for name in names}
    return {name: found for name, found in tried.items() if found is not None}


def _family_question(states: States, given: Mapping[str, Any], found: Found) -> dict[str, Question]:
    """Ask where the same tensors may be another family's."""
    plain = {key: given[key] for key in ("turned", "judges") if key in given}
    able = []
    for name in families():
        try:
            able += list(_hits(states, {**plain, "family": name}))
        except ModelError:
            continue
    text = "What it was trained as; networks of several look alike."
    return {"family": Question(text, found.family, tuple(able))} if len(able) > 1 else {}


def _denoises(found: Recognised) -> bool:
    return found.found.denoising is not None


def _checked(gathered: Gathered, role: str, room: str, part: Part) -> tuple[nn.Module, State]:
    """A network without weights, and a state dict that fits it."""
    import torch

    from napari_tincture.models.weights import check_fit

    with torch.device("meta"):
        network = build_network(part.architecture, part.options, room)
    state = fitted(gathered.states[role], network)
    check_fit(network, state, f"{gathered.files[role]} ({role}, {part.architecture})")
    return network, state


def _filled(gathered: Gathered, role: str, room: str, part: Part) -> nn.Module:
    network, state = _checked(gathered, role, room, part)
    wanted = network.state_dict()
    # Copied: what is read stays mapped to the file otherwise.
    own = {key: value.to(wanted[key].dtype, copy=True) for key, value in state.items()}
    network.load_state_dict(own, assign=True)
    return network.requires_grad_(True)


def fitted(state: State, network: nn.Module) -> dict[str, Tensor]:
    """A state dict by the names that a network has, whichever torch wrote it.

    Running statistics that old files have for instance norm are left out, counters that they
    lack for batch norm added, and the second singular vectors that they lack for spectral norm.
    """
    import torch

    from napari_tincture.models.published import drop_running_statistics

    found = drop_running_statistics(_with_vectors(state), network)
    for key in network.state_dict():
        place, _, last = key.rpartition(".")
        if last == "num_batches_tracked" and f"{place}.running_mean" in found:
            found.setdefault(key, torch.tensor(0))
    return found


def _with_vectors(state: State) -> dict[str, Tensor]:
    """Add right singular vectors, which torch before 1.1 did not write (one power iteration)."""
    from torch.nn.functional import normalize

    found = dict(state)
    for key, left in state.items():
        place = key.removesuffix("_u")
        if key.endswith(".weight_u") and f"{place}_orig" in state:
            matrix = state[f"{place}_orig"].flatten(1).float()
            right = normalize(matrix.T @ left.float(), dim=0, eps=1e-12)
            found.setdefault(f"{place}_v", right)
            found.pop(place, None)
    return found
