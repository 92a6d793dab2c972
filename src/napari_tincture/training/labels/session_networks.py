"""What learns while somebody paints: a small network, or that of a model to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.models.card import ModelCard, Part

NETWORK: Mapping[str, Any] = {
    "depth": 3, "width": 12, "max_width": 48, "padded": True, "norm": "batch", "dropout": 0.0,
    "head": "none",
}  # fmt: skip


def small(options: Mapping[str, Any], channels: int, classes: int) -> Part:
    """A U-Net that is quick on a CPU; some options may differ."""
    return Part("unet", {**NETWORK, **options, **_counts(channels, classes)})


def part_of(card: ModelCard, channels: int, classes: int) -> Part:
    """The network of a model, with a last layer for these classes.

    Raises
    ------
    InputError
        If it takes other channels, or leaves out what is at the edges of its images.
    """
    if len(card.inputs) != channels or card.margin:
        raise InputError(
            f"{card.name!r} takes {len(card.inputs)} channels and leaves out {card.margin} px at "
            f"the edges; expected {channels}, as the image has, and none. Begin with another "
            "model, or with a new network."
        )
    plain = {"head": "none"} if "head" in card.options else {}
    return Part(card.architecture, {**card.options, **plain, **_counts(channels, classes)})


def _counts(channels: int, classes: int) -> dict[str, int]:
    return {"in_channels": channels, "out_channels": classes}
