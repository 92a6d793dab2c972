"""What a model can tell beside its image, as one network: one pass, all answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tincture.errors import InputError
from napari_tincture.models.card import Channel, ModelCard
from napari_tincture.models.layers.copies import sharing_weights
from napari_tincture.models.model import Model
from napari_tincture.models.realism import Realism

ROUND_TRIPS = {"reconstruction", "cycle_error", "cycle_error_twice"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the things asked for: where it lies among the channels of all, and what it is.

    Attributes
    ----------
    channels
        First and last-but-one channel.
    names
        Of its channels.
    limits
        Values that are shown as black and white, and that integers span.
    rgb
        Whether it is a colour image.
    colours
        By channel, as napari names colour maps.
    """

    channels: tuple[int, int]
    names: tuple[str, ...]
    limits: tuple[float, float]
    rgb: bool = False
    colours: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """A model of all that is asked for, and where each answer lies in its output."""

    model: Model
    answers: Mapping[str, Answer]


def ask(model: Model, names: Sequence[str], samples: int = 1) -> Question:
    """Join the networks that are needed to answer; each runs once.

    Parameters
    ----------
    model
        With the parts that the answers need.
    names
        Of `ModelCard.offers`; "std" only of models that take noise.
    samples
        How many draws of noise are averaged, for models that take noise.

    Returns
    -------
    Question
        Its model takes the image's channels, then the noise of each sample, then that of the way
        back; (b, c, y, x) like `model`.

    Raises
    ------
    InputError
        If the model does not offer what is asked.
    """
    card = model.card
    extras: Mapping[str, int] = getattr(model.network, "extras", {})
    offered = card.replace(extras=extras).offers
    for name in names:
        if name not in offered:
            raise InputError(
                f"Model {card.name!r} offers the outputs {', '.join(map(repr, offered))}; "
                f"{name!r} was asked for."
            )
    network = Answering(model, tuple(names), samples)
    answers = _answers(card, extras, names)
    return Question(Model(network, _joined_card(card, network, answers)), answers)


class Answering(nn.Module):
    """A generator with all that is asked of it: (b, c, y, x) to (b, sum of channels, y, x)."""

    def __init__(self, model: Model, names: tuple[str, ...], samples: int) -> None:
        super().__init__()
        card = model.card
        self.names = names
        self.there = model.network
        self.images = len(card.image_inputs)
        self.noises = len(card.noise_inputs)
        self.samples = samples if self.noises else 1
        low, high = card.normalisation.span
        self.width = high - low
        back = bool(ROUND_TRIPS & set(names))
        self.back = model.part("backward") if back else None
        twice = "cycle_error_twice" in names
        # What a part of fixed size holds differs from call to call.
        self.there_again = sharing_weights(self.there) if twice else None
        self.back_again = sharing_weights(self.back) if twice and self.back else None
        self.realism = Realism.of(model) if "realism" in names else None

    @property
    def noise_channels(self) -> int:
        """How many channels of noise follow those of the image."""
        return self.noises * (self.samples + (self.back is not None))

    def forward(self, x: Tensor) -> Tensor:
        """Answer all at once, in the order of the names."""
        found = self._there(x)
        if self.back is not None:
            found |= self._and_back(x, found["image"])
        if self.realism is not None:
            found["realism"] = self.realism(x[:, : self.images], found["image"])
        return torch.cat([found[name] for name in self.names], dim=1)

    def _there(self, x: Tensor) -> dict[str, Tensor]:
        source = x[:, : self.images]
        if not self.noises:
            found = _details(self.there, source)
            return {"image": found.pop("image")} | {
                name: _drawn_up(name, value, x) for name, value in found.items()
            }
        images = torch.stack(
            [self.there(self._with_noise(source, x, k)) for k in range(self.samples)]
        )
        found = {"image": images.mean(0)}
        if "std" in self.names:
            spread = (images - found["image"]).square().mean(0).sqrt()
            found["std"] = spread.mean(1, keepdim=True)
        return found

    def _and_back(self, x: Tensor, image: Tensor) -> dict[str, Tensor]:
        assert self.back is not None
        source = x[:, : self.images]
        again = self.back(self._with_noise(image, x, self.samples))
        found = {"reconstruction": again, "cycle_error": self._error(source, again)}
        if self.there_again is not None and self.back_again is not None:
            image = self.there_again(self._with_noise(again, x, 0))
            twice = self.back_again(self._with_noise(image, x, self.samples))
            found["cycle_error_twice"] = self._error(source, twice)
        return found

    def _with_noise(self, image: Tensor, x: Tensor, draw: int) -> Tensor:
        if not self.noises:
            return image
        start = self.images + draw * self.noises
        return torch.cat([image, x[:, start : start + self.noises]], dim=1)

    def _error(self, source: Tensor, again: Tensor) -> Tensor:
        return (source - again).abs().mean(1, keepdim=True) / self.width


def _details(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    extras: Mapping[str, int] = getattr(network, "extras", {})
    if not extras:
        return {"image": network(x)}
    found: dict[str, Tensor] = network.detailed(x)  # type: ignore[operator]
    return {name: found[name] for name in ("image", *extras)}


def _drawn_up(name: str, value: Tensor, x: Tensor) -> Tensor:
    """A map at the resolution of the image; heat maps span 0 to 1 over the whole of it."""
    if name == "heatmap":
        low, high = value.amin((2, 3), keepdim=True), value.amax((2, 3), keepdim=True)
        value = (value - low) / (high - low).clamp_min(1e-12)
    times = x.shape[-1] // value.shape[-1]
    if times == 1:
        return value
    return functional.interpolate(value, scale_factor=times, mode="bilinear", align_corners=False)


@dataclass
class _Places:
    """Gives every answer its channels, one after the other."""

    card: ModelCard
    next: int = 0
    found: dict[str, Answer] = field(default_factory=dict)

    def put(self, name: str, labels: Sequence[str], **options: Any) -> None:
        channels = (self.next, self.next + len(labels))
        self.next = channels[1]
        self.found[name] = Answer(channels, tuple(labels), **options)


def _answers(card: ModelCard, extras: Mapping[str, int], names: Sequence[str]) -> dict[str, Answer]:
    places = _Places(card)
    for name in names:
        if name == "image":
            labels = [channel.name for channel in card.outputs]
            colours = tuple(channel.colour for channel in card.outputs)
            places.put(name, labels, limits=card.output_range, rgb=card.rgb_output, colours=colours)
        elif name == "reconstruction":
            labels = [channel.name for channel in card.image_inputs]
            colours = tuple(channel.colour for channel in card.image_inputs)
            places.put(
                name, labels, limits=card.normalisation.span, rgb=card.rgb_input, colours=colours
            )
        else:
            places.put(name, _labels(name, extras.get(name, 1)), **_look(name, card))
    return places.found


def _labels(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name} {index}" for index in range(count)]


def _look(name: str, card: ModelCard) -> dict[str, Any]:
    """How a map is shown: errors from none to a fifth of the range, shares from 0 to 1."""
    low, high = card.output_range
    looks: dict[str, tuple[tuple[float, float], str]] = {
        "heatmap": ((0.0, 1.0), "inferno"),
        "attention": ((0.0, 1.0), "gray"),
        "content": ((low, high), "gray"),
        "cycle_error": ((0.0, 0.2), "magma"),
        "cycle_error_twice": ((0.0, 0.2), "magma"),
        "realism": ((0.0, 1.0), "viridis"),
        "std": ((0.0, 0.2 * (high - low)), "magma"),
    }
    limits, colour = looks[name]
    return {"limits": limits, "colours": (colour,)}


def _joined_card(card: ModelCard, network: Answering, answers: Mapping[str, Answer]) -> ModelCard:
    draws = ["", *(f" {index}" for index in range(1, network.samples)), " back"]
    noise = [
        Channel(f"{channel.name}{draw}", source="noise")
        for draw in draws
        for channel in card.noise_inputs
    ][: network.noise_channels]
    labels = [f"{name} {label}" for name, answer in answers.items() for label in answer.names]
    alone = list(answers) == ["image"]
    return card.replace(
        inputs=(*card.image_inputs, *noise),
        outputs=card.outputs if alone else tuple(map(Channel, labels)),
        rgb_output=card.rgb_output and alone,
        parts={},
        extras={},
        stride=None,
        halo=None,
        exact=None,
    )
