"""Recipes for translating images of one domain into another, with pairs, without, or with a few."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from napari_tincture.errors import InputError
from napari_tincture.models.card import ModelCard, Part
from napari_tincture.models.registry import build_network, room_of
from napari_tincture.training.images.sampling import Sampling
from napari_tincture.training.initialise import Kind, initialise
from napari_tincture.training.labels.labelling import EVERY, Labelling
from napari_tincture.training.objective import Objective, Published, find_objective
from napari_tincture.training.schedule import Schedule
from napari_tincture.training.stages import Stage, Staged, begin_coarse, check_stages

DOMAINS = ("a", "b", "pairs")
DATA = (*DOMAINS, "validation", "test", "corrections")


@dataclass(frozen=True, slots=True)
class TranslationRecipe:
    """Everything that decides what a training gives; serialisable to JSON.

    Attributes
    ----------
    name
        Of the model.
    family
        A file of `napari_tincture.training.objectives`.
    networks
        By the names of a card's parts, "forward" among them.
    data
        Where images are: "a" and "b" as `Domain.from_json` takes them, "pairs" with an "a", a "b"
        and perhaps an "order" as `Pairs.match` takes it. A family that learns from pairs needs
        "pairs"; one that does not needs "a" and "b", and learns from "pairs" beside them; one that
        learns from images alone needs "a".
        "validation" and "test" hold the same three of images that are kept apart already, and
        perhaps the "rows" or "columns" of them that count, ``[start, stop]``.
        "corrections": the folder that `correct` filled, or it and which "regions".
    split
        Arguments of `splits.split`, for all of them, or for each under its name.
    schedule, sampling
        How fast to learn, and from which crops.
    weights
        Loss weights that differ from the published ones.
    options
        Further arguments of the family's ``build``, such as ``game`` or ``pool_size``.
    initialisation
        How the first weights are drawn; "none" leaves torch's own.
    start
        Name or path of a model whose weights the networks begin with instead; "": none. Of an
        autoencoder, or of a torchvision file of ImageNet weights (``.pth``, or ``.safetensors``),
        a network with the same encoder takes the encoder alone.
    card
        Fields of the model's card that no training knows: description, licence, data, ….
    keep
        Which networks beside "forward" the model keeps; None: all.
    stages
        Parts of the training in which generators from coarse to fine learn this or that; none:
        all weights learn all the time.
    """

    name: str
    family: str
    networks: Mapping[str, Part]
    schedule: Schedule
    sampling: Sampling = field(default_factory=Sampling)
    data: Mapping[str, Any] = field(default_factory=dict)
    split: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    initialisation: str = "normal"
    start: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
    keep: tuple[str, ...] | None = None
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        if "forward" not in self.networks:
            raise InputError(f"Recipe {self.name!r} names no network 'forward'.")
        unknown = sorted(set(self.data) - set(DATA))
        if unknown:
            raise InputError(
                f"Recipe {self.name!r} names the data {', '.join(unknown)}; expected "
                f"{', '.join(DATA)}."
            )
        # Found after the training, this would be too late.
        strange = sorted(set(self.card) - {f.name for f in dataclasses.fields(ModelCard)})
        if strange:
            raise InputError(
                f"Recipe {self.name!r} says {', '.join(strange)} of the model's card, which has no "
                "such field."
            )
        if self.stages:
            check_stages(self.name, self.stages, self.networks, self.schedule.steps)

    @property
    def kept_beside(self) -> tuple[str, ...]:
        """Names of the networks that the model keeps beside "forward"."""
        wanted = self.networks if self.keep is None else self.keep
        return tuple(name for name in self.networks if name in wanted and name != "forward")

    @property
    def labelling(self) -> Labelling:
        """How its label images are read; of images that are made of them every value is a class."""
        usual = {"unlabelled": EVERY} if self.published.synthesizes else {}
        return Labelling.of({**usual, **self.options})

    @property
    def published(self) -> Published:
        """How the family was trained by its authors."""
        found: Published = find_objective(self.family).PUBLISHED
        return found

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        # Most recipes have none.
        for name in ("stages", "start"):
            if not values[name]:
                del values[name]
        return values

    def to_json(self) -> str:
        """The recipe as one JSON object."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TranslationRecipe:
        """Read a recipe; unknown or missing fields are refused.

        Raises
        ------
        InputError
            If a field is missing, unknown or of the wrong kind.
        """
        try:
            given = dict(values)
            parts = {name: Part(**part) for name, part in given.pop("networks").items()}
            schedule: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in given.pop("schedule").items()
            }
            sampling = Sampling.from_json(given.pop("sampling", {}))
            if given.get("keep") is not None:
                given["keep"] = tuple(given["keep"])
            given["stages"] = tuple(Stage(**stage) for stage in given.pop("stages", ()))
            return cls(networks=parts, schedule=Schedule(**schedule), sampling=sampling, **given)
        except (TypeError, KeyError, AttributeError) as error:
            raise InputError(f"This is no recipe for translating images: {error!r}.") from error

    @classmethod
    def from_json(cls, text: str) -> TranslationRecipe:
        """Read a recipe from JSON."""
        try:
            values = json.loads(text)
        except ValueError as error:
            raise InputError(f"This recipe is not valid JSON: {error}.") from error
        return cls.from_dict(values)

    def replace(self, **changes: Any) -> TranslationRecipe:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def build_networks(self) -> dict[str, nn.Module]:
        """All networks, with first weights drawn from torch's generator."""
        denoises = self.published.denoises
        networks = {
            name: build_network(part.architecture, part.options, room_of(name, denoises))
            for name, part in self.networks.items()
        }
        if self.initialisation != "none":
            kind: Kind = self.initialisation  # type: ignore[assignment]
            for network in networks.values():
                initialise(network, kind)
        if self.stages:
            begin_coarse(networks.values())
        return networks

    def build_objective(self, networks: Mapping[str, nn.Module]) -> Objective:
        """Let networks learn together as the recipe says.

        Raises
        ------
        InputError
            If the family does not know a weight or an option.
        """
        if self.stages:
            return Staged(networks, self._play)
        return self._play(networks)

    def _play(self, networks: Mapping[str, nn.Module]) -> Objective:
        family = find_objective(self.family)
        try:
            weights = family.Weights(**self.weights)
            objective: Objective = family.build(networks, weights, **self.options)
        except TypeError as error:
            raise InputError(
                f"Family {self.family!r} does not take the weights {dict(self.weights)} or the "
                f"options {dict(self.options)}: {error}."
            ) from error
        return objective
