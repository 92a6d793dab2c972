"""What a model is, takes and gives: the card that travels with its weights.

No torch here: napari's process reads cards to fill its menus.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from napari_tincture.errors import ModelError
from napari_tincture.models.denoising import Denoising
from napari_tincture.models.fields import check_choice, check_keys, pair, read
from napari_tincture.models.normalisation import Normalisation

Task = Literal["stain", "segment", "synthesize"]
Border = Literal["clip", "mirror"]
Source = Literal["image", "class", "edge", "feature", "noise"]
Held = Literal["reduced", "tiles"]
SOURCES = get_args(Source)
RGB = ("red", "green", "blue")
GREY = "grey"
"""Name of the only channel of a grey image; of several copies of it they are numbered."""


def copies_of_grey(names: Sequence[str]) -> bool:
    """Whether inputs are copies of one grey channel."""
    return len(names) > 1 and list(names) == [f"{GREY} {n + 1}" for n in range(len(names))]


@dataclass(frozen=True, slots=True)
class Channel:
    """One input or output channel.

    Attributes
    ----------
    source
        Of an input: "image"; "class", 1 where a pixel of a label map is of that class; "edge", 1
        beside another instance; "feature", a map that an encoder makes of an image; or "noise" for
        a map of standard normal noise, which is drawn where none is given. Inputs come in that
        order.
    value
        Of an input or output that is a class: its value in label images; None: its place among
        the classes.
    """

    name: str
    description: str = ""
    colour: str = "gray"
    source: Source = "image"
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A network beside the one that the card is about.

    Attributes
    ----------
    architecture, options
        Name of a file of `napari_tincture.models`, or for discriminators and encoders of that
        room, and what its ``build`` is called with.
    """

    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything but the weights.

    Attributes
    ----------
    architecture, options
        Name of a file of `napari_tincture.models` (or an entry point) and what its ``build``
        is called with.
    normalisation
        From image values to the network's.
    output_range
        The range of output values that is mapped to integer types; values may exceed it.
    pixel_size
        Micrometres per pixel of the training images, None where unknown.
    border
        ``"clip"``: padded network. ``"mirror"``: it loses `margin` pixels on each side, the
        image is mirrored; legal input sides are congruent to `residue` modulo `stride`.
    stride, halo, exact
        Measured from the network: total stride and receptive field, in pixels, and whether
        tiles with that halo give the whole image's result. None: not measured yet.
    instances
        Parameters of the step from outputs to objects, for ``task="segment"``.
    family
        What the network was trained as: a file of `napari_tincture.training.objectives`.
    parts
        Networks that are kept with this one, by name: "backward" leads from the output's domain
        to the input's; "discriminator" judges outputs, "discriminator_backward" inputs; further
        ones of a kind carry a suffix.
    extras
        What the network tells beside the image (heat maps, attention masks, …), and in how many
        channels.
    target_normalisation
        From values of real images of the output's domain to the network's; None where there are
        no such images.
    calibration
        Quantiles, evenly spaced from 0 to 1, of what discriminators say of real images that they
        were not trained on.
    denoising
        Of a denoiser, from which samplers make images: how it was trained; None for networks
        that give their result at once.
    styles
        Names of the styles that a denoiser knows by number, the first of them 1; empty where they
        have none.
    held
        Where a network of fixed size takes from what it needs of the whole image: the image
        reduced to that size, or the mean of all "tiles" of that size.
    training_statistics
        Intensities of the training images, see `napari_tincture.models.statistics`.
    start
        What its first weights were taken from, and which; empty where they were random, or it is
        not known.
    trained_in
        Precision that its networks computed in while they were trained; empty where not known.
    figures
        Measured on the test split named in `split`.
    origin
        Where the model was downloaded from: "url", and "sha256" of what came; of a package also
        that of its files. Empty for others.
    """

    name: str
    task: Task
    architecture: str
    inputs: tuple[Channel, ...]
    outputs: tuple[Channel, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    normalisation: Normalisation = field(default_factory=Normalisation)
    output_range: tuple[float, float] = (0.0, 1.0)
    rgb_output: bool = False
    pixel_size: float | None = None
    border: Border = "clip"
    stride: int | None = None
    halo: int | None = None
    margin: int = 0
    residue: int = 0
    exact: bool | None = None
    instances: Mapping[str, Any] | None = None
    family: str = ""
    parts: Mapping[str, Part] = field(default_factory=dict)
    extras: Mapping[str, int] = field(default_factory=dict)
    target_normalisation: Normalisation | None = None
    calibration: tuple[float, ...] = ()
    denoising: Denoising | None = None
    styles: tuple[str, ...] = ()
    held: Held = "reduced"
    training_statistics: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    licence: str = ""
    data: str = ""
    split: str = ""
    start: str = ""
    trained_in: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    citation: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1

    def __post_init__(self) -> None:
        check_choice("task", self.task, get_args(Task))
        check_choice("border", self.border, get_args(Border))
        check_choice("held", self.held, get_args(Held))
        if not self.inputs or not self.outputs:
            raise ModelError(f"Card {self.name!r} names no input or no output channel.")
        ranks = [SOURCES.index(channel.source) for channel in self.inputs]
        if ranks != sorted(ranks):
            raise ModelError(
                f"Card {self.name!r} names inputs in another order than {', '.join(SOURCES)}."
            )
        if self.version != 1:
            raise ModelError(
                f"Card {self.name!r} has version {self.version}; this release reads version 1. "
                "Update napari-tincture."
            )

    def replace(self, **changes: Any) -> ModelCard:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    @property
    def rgb_input(self) -> bool:
        """Whether the inputs are the channels of a colour image."""
        return tuple(channel.name for channel in self.image_inputs) == RGB

    @property
    def offers(self) -> tuple[str, ...]:
        """Names of what `stain` can give of the model, the image first."""
        names = ["image", *self.extras]
        if "backward" in self.parts:
            names += ["reconstruction", "cycle_error", "cycle_error_twice"]
        if self.judges:
            names.append("realism")
        return (*names, "std")

    @property
    def judges(self) -> tuple[str, ...]:
        """Names of the discriminators of the output's domain."""
        return tuple(
            name
            for name in self.parts
            if name.startswith("discriminator") and "backward" not in name
        )

    @property
    def image_inputs(self) -> tuple[Channel, ...]:
        """The inputs that come from an image; noise is drawn."""
        return self._from("image")

    @property
    def class_inputs(self) -> tuple[Channel, ...]:
        """The inputs that are classes of a label map."""
        return self._from("class")

    @property
    def noise_inputs(self) -> tuple[Channel, ...]:
        """The inputs that are drawn."""
        return self._from("noise")

    def _from(self, source: Source) -> tuple[Channel, ...]:
        return tuple(channel for channel in self.inputs if channel.source == source)

    def to_json(self) -> str:
        """The card as one JSON object."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card; keys that this release does not know are refused.

        Raises
        ------
        ModelError
            If the text is not JSON, a field is missing, unknown, or of the wrong kind.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ModelError(f"The model card is not valid JSON: {error}.") from error
        if not isinstance(values, dict):
            raise ModelError(f"A model card is a JSON object, got {type(values).__name__}.")
        check_keys("model card", values, cls)
        try:
            return cls(**_typed(values))
        except (TypeError, AttributeError, ValueError) as error:
            raise ModelError(f"The model card has a field of the wrong kind: {error}.") from error


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    typed = dict(values)
    for key in ("inputs", "outputs"):
        typed[key] = tuple(read("channel", Channel, item) for item in values[key])
    for key in ("normalisation", "target_normalisation"):
        if values.get(key) is not None:
            typed[key] = _normalisation(values[key])
    if values.get("denoising") is not None:
        typed["denoising"] = read("denoising", Denoising, values["denoising"])
    if "parts" in values:
        parts = dict(values["parts"])
        typed["parts"] = {name: read("part", Part, part) for name, part in parts.items()}
    if "styles" in values:
        typed["styles"] = tuple(map(str, values["styles"]))
    if "calibration" in values:
        typed["calibration"] = tuple(map(float, values["calibration"]))
    if "output_range" in values:
        typed["output_range"] = pair(values["output_range"])
    return typed


def _normalisation(values: Any) -> Normalisation:
    norm = dict(values)
    for key in ("target", "clip"):
        if norm.get(key) is not None:
            norm[key] = pair(norm[key])
    found: Normalisation = read("normalisation", Normalisation, norm)
    return found
