"""The other direction of a model that has both.

No torch here: panels offer its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from napari_tincture.errors import ModelError
from napari_tincture.models.card import RGB, Channel, ModelCard, Part
from napari_tincture.models.normalisation import Normalisation

if TYPE_CHECKING:
    from napari_tincture.models.model import Model

T = TypeVar("T")
OTHER = "backward"


def turned(model: Model) -> Model:
    """The model that leads back: its inputs are the outputs of `model`.

    Raises
    ------
    ModelError
        If the model has one direction only.
    """
    card = turned_card(model.card)
    there = {name: model.part(name) for name in model.card.parts if name != OTHER}
    parts = _renamed({**there, OTHER: model.network})
    return type(model)(model.part(OTHER), card, parts)


def turned_card(card: ModelCard) -> ModelCard:
    """The card of the model that leads back.

    Raises
    ------
    ModelError
        If the model has one direction only.
    """
    if OTHER not in card.parts:
        raise ModelError(
            f"Model {card.name!r} has one direction, 'forward'; it keeps no network that leads "
            "back. Import or train one with both."
        )
    first, back = Part(card.architecture, card.options), card.parts[OTHER]
    others = {name: part for name, part in card.parts.items() if name != OTHER}
    # Noise is drawn for either direction.
    drawn = card.noise_inputs
    before = real_outputs(card)
    return card.replace(
        name=f"{card.name} backward",
        architecture=back.architecture,
        options=back.options,
        inputs=(*_named(card.outputs, card.rgb_output), *drawn),
        outputs=card.image_inputs,
        normalisation=before,
        target_normalisation=card.normalisation,
        output_range=card.normalisation.span,
        rgb_output=card.rgb_input,
        parts=_renamed({**others, OTHER: first}),
        # Measured or calibrated in the first direction.
        stride=None,
        halo=None,
        exact=None,
        margin=0,
        residue=0,
        calibration=(),
        training_statistics={},
        figures={},
    )


def real_outputs(card: ModelCard) -> Normalisation:
    """From values of real images of the output's domain to the network's."""
    low, high = card.output_range
    return card.target_normalisation or Normalisation("dtype", target=(low, high))


def _named(channels: tuple[Channel, ...], rgb: bool) -> tuple[Channel, ...]:
    if not rgb:
        return channels
    return tuple(Channel(name, colour=name) for name in RGB)


def _renamed(parts: Mapping[str, T]) -> dict[str, T]:
    """Name parts for the other direction: what judged inputs judges outputs now."""

    def other(name: str) -> str:
        if name == OTHER:
            return name
        role, *marks = name.split("_")
        marks = [m for m in marks if m != OTHER] if OTHER in marks else [*marks, OTHER]
        return "_".join([role, *marks])

    return {other(name): part for name, part in parts.items()}
