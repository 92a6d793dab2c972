"""A model of a package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tincture.errors import ModelError
from napari_tincture.models.card import RGB, ModelCard, Task
from napari_tincture.models.consent import Program
from napari_tincture.models.packages import _layout, _networks, _steps
from napari_tincture.models.packages._archive import Archive
from napari_tincture.models.packages._check import Values, read_test
from napari_tincture.models.packages._choose import Choice, choices, chosen
from napari_tincture.models.packages._description import (
    Description,
    Tensor,
    Tolerance,
    read_description,
)

if TYPE_CHECKING:
    from torch import nn

    from napari_tincture.models.model import Model

CONFIG = "napari_tincture"
"""Our own section of a description's `config`; it holds the card."""
SEGMENTATION = ("segmentation", "semantic-segmentation", "instance-segmentation")


@dataclass(frozen=True, slots=True)
class Package:
    """What a package is, found without running or building anything.

    Attributes
    ----------
    weights
        By format: "" if they can be used, else what is lacking.
    runs
        By format: what is run if these weights are used, which needs consent by its SHA-256;
        formats that can be used and run nothing are left out.
    tested
        Whether it holds a test of its result.
    """

    name: str
    version: str
    description: str
    licence: str
    citation: str
    task: Task
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, str]
    runs: Mapping[str, Program]
    tested: bool

    @property
    def programs(self) -> tuple[Program, ...]:
        """What needs consent."""
        return tuple(self.runs.values())


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model, and the test that its package holds.

    Attributes
    ----------
    image, expected
        (b, c, y, x), or None where there is none.
    programs
        What is run when the model is.
    """

    model: Model
    image: Values | None
    expected: Values | None
    tolerance: Tolerance
    programs: tuple[Program, ...]

    def measurable(self) -> Model | None:
        """The same without the sizes that the package states, to be measured; None if it cannot be.

        TorchScript calls operators that can be looked at.
        """
        from napari_tincture.models.model import Model
        from napari_tincture.models.networks.packaged import Packaged
        from napari_tincture.models.registry import build_network

        card, network = self.model.card, self.model.network
        program = card.options.get("network", {})
        if not isinstance(network, Packaged) or program.get("kind") != "torchscript":
            return None
        if not all(program["sizes"]["step"]):
            return None
        options = {**card.options, "network": {**program, "sizes": None}}
        bare: Any = build_network(card.architecture, options)
        bare.network.load_state_dict(network.network.state_dict())
        return Model(bare, card.replace(options=options))


def inspect(path: Path) -> Package:
    """Say what a package is.

    Raises
    ------
    ModelError
        If it is damaged, unsafe, or of another format.
    """
    archive = Archive(path)
    description = read_description(archive.describe())
    found = choices(archive, description)
    tensors = (*description.inputs, *description.outputs)
    return Package(
        description.name,
        description.version,
        description.text,
        description.licence,
        description.citation,
        _task(description),
        tuple(tensor.name for tensor in description.inputs),
        tuple(tensor.name for tensor in description.outputs),
        {kind: choice.lacking for kind, choice in found.items()},
        {kind: c.program for kind, c in found.items() if c.program and not c.lacking},
        all(tensor.test is not None for tensor in tensors),
    )


def load(path: Path, weights: str = "auto", output: str | None = None) -> Loaded:
    """Make a model of a package.

    Raises
    ------
    ModelError
        If it is damaged, unsafe, of another format, or cannot be mapped.
    ConsentError
        If it would run what was not agreed to.
    """
    archive = Archive(path)
    description = read_description(archive.describe())
    taken = _layout.one_input(description)
    number, given = _layout.one_output(description, output)
    found = choices(archive, description)
    part = _published(archive, found, weights)
    choice = chosen(found, weights, "pytorch_state_dict" if part else "")
    if choice.weights.kind != "pytorch_state_dict" or choice.ready:
        part = None
    model = _own(archive, description, choice) or _mapped(
        archive, description, choice, (taken, given, number), part
    )
    programs = () if choice.program is None or part else (choice.program,)
    return Loaded(
        model, read_test(archive, taken), read_test(archive, given), description.tolerance, programs
    )


def _published(archive: Archive, found: Mapping[str, Choice], wanted: str) -> Any:
    """The published architecture of a state dict whose own code is not to be run."""
    choice = found.get("pytorch_state_dict")
    if choice is None or choice.ready or wanted not in ("auto", "pytorch_state_dict"):
        return None
    return _networks.recognised(archive, choice)


def _own(archive: Archive, description: Description, choice: Choice) -> Model | None:
    """The model as it was exported, card and all; None for packages of others."""
    section = description.config.get(CONFIG)
    if not isinstance(section, Mapping) or "card" not in section or not choice.architecture:
        return None
    from napari_tincture.models.model import Model
    from napari_tincture.models.registry import build_network

    card = ModelCard.from_json(json.dumps(section["card"]))
    if card.parts or card.architecture != choice.architecture:
        raise ModelError(
            f"The card in the package {archive.path} is of another network than its weights. Get "
            "the package again."
        )
    network = build_network(card.architecture, card.options)
    _networks.fill(archive, choice.weights, network)
    return Model(network, card)


def _mapped(
    archive: Archive,
    description: Description,
    choice: Choice,
    tensors: tuple[Tensor, Tensor, int],
    part: Any,
) -> Model:
    from napari_tincture.models.model import Model
    from napari_tincture.models.registry import build_network
    from napari_tincture.models.weights import fill_network

    done = _steps.before(tensors[0])
    options = _options(archive, choice, tensors, done, part)
    plain = _plain(options)
    name = options["network"]["architecture"] if plain else "packaged"
    made = options["network"]["options"] if plain else options
    network: Any = build_network(name, made)
    inner: nn.Module = network if plain else network.network
    if part:
        fill_network(inner, part[1], choice.weights.file)
    else:
        _networks.fill(archive, choice.weights, inner)
    card = _card(description, tensors, options, done)
    return Model(network, card.replace(architecture=name, options=made))


def _options(
    archive: Archive,
    choice: Choice,
    tensors: tuple[Tensor, Tensor, int],
    done: _steps.Before,
    part: Any,
) -> dict[str, Any]:
    """Options of the architecture "packaged"."""
    taken, given, number = tensors
    sizes = _layout.sizes(taken, given)
    if part:
        network = {"architecture": part[0].architecture, "options": dict(part[0].options)}
    else:
        network = _networks.described(archive, choice, sizes, done.dtype)
    count = len(taken.channels)
    return {
        "in_channels": count,
        "out_channels": _layout.count_of(given, taken),
        "network": network,
        "before": done.items,
        "after": _steps.after(given),
        "input_axes": taken.letters,
        "output_axes": given.letters,
        "output": number,
    }


def _plain(options: Mapping[str, Any]) -> bool:
    """Whether nothing is left to do beside one of our own networks."""
    axes = options["input_axes"], options["output_axes"]
    rest = options["before"] or options["after"] or options["output"]
    return "architecture" in options["network"] and not rest and axes == ("bcyx", "bcyx")


def _card(
    description: Description,
    tensors: tuple[Tensor, Tensor, int],
    options: Mapping[str, Any],
    done: _steps.Before,
) -> ModelCard:
    taken, given, _ = tensors
    outputs = _layout.channels(given, options["out_channels"])
    return ModelCard(
        name=description.name,
        task=_task(description),
        architecture="packaged",
        inputs=_layout.channels(taken, options["in_channels"]),
        outputs=outputs,
        normalisation=done.normalisation,
        output_range=_steps.output_range(options["after"], given),
        rgb_output=tuple(channel.name for channel in outputs) == RGB,
        pixel_size=_layout.pixel_size(taken),
        description=f"{description.text} (BioImage.IO package, takes {taken.dtype})".strip(),
        licence=description.licence,
        citation=description.citation,
    )


def _task(description: Description) -> Task:
    own = description.config.get(CONFIG)
    if isinstance(own, Mapping) and isinstance(own.get("card"), Mapping):
        task: Task = own["card"].get("task", "stain")
        return task
    said = description.config.get("bioimageio")
    said = str(said.get("task") or "").lower() if isinstance(said, Mapping) else ""
    tagged = any(tag in SEGMENTATION for tag in description.tags) or "segmentation" in said
    return "segment" if tagged or any(t.nominal for t in description.outputs) else "stain"
