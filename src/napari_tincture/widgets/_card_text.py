"""A model's card in words, for a person; no Qt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from napari_tincture.models.card import Channel, ModelCard
from napari_tincture.models.library import is_own
from napari_tincture.models.shipped import find_model

USE = "For research and teaching, not for diagnosis."
LIMITS = (
    "It knows images like those that it was trained on; of others its result may look right and "
    "be wrong."
)
TOLD = {"stain": "stains", "segment": "segments", "synthesize": "synthesizes"}
NAMES = {
    "gray", "grey", "white", "black", "red", "green", "blue", "cyan", "magenta", "yellow", "orange",
}  # fmt: skip
"""Colours that need no number."""
LINK = re.compile(r"https?://[^\s<>)\"]+[^\s<>)\".,;]")
Row = tuple[str, str]
"""A label, and its text as HTML."""


def card_html(card: ModelCard) -> str:
    """The whole card as HTML: a paragraph for each thing that is known."""
    rows = "".join(
        f"<p><b>{label}:</b> {text}</p>" for label, text in card_rows(card) if text
    )  # fmt: skip
    return f"<h3>{escape(card.name)}</h3><p><i>{USE}</i></p>{rows}"


def card_rows(card: ModelCard) -> list[Row]:
    """What is known of a model, by what a person calls it; unknown things have no text."""
    size = f"{card.pixel_size:.4g} µm" if card.pixel_size else "not stated"
    also = ", ".join(card.offers[1:]).replace("_", " ") if card.task == "stain" else ""
    return [
        ("About", _plain(card.description)),
        ("Use", f"{TOLD[card.task]}; {'your own' if is_own(card.name) else 'shipped'}"),
        ("Limits", LIMITS),
        ("Takes", _channels(card.inputs)),
        ("Pixel size", size),
        ("Values", _values(card)),
        ("Gives", _channels(card.outputs)),
        ("Also", also),
        ("Objects", _listed(card.instances or {})),
        ("Figures", _figures(card)),
        ("Training", _training(card)),
        ("Data", _plain(card.data)),
        ("Split", _plain(card.split)),
        ("Licence", _plain(card.licence) or "not stated"),
        ("Cite", _plain(card.citation)),
        ("Source", _source(card)),
        ("Tiles", _tiles(card)),
        ("File", _file(card)),
    ]


def _plain(text: str) -> str:
    """A text as HTML, whose addresses can be followed."""
    return LINK.sub(lambda m: f'<a href="{m[0]}">{m[0]}</a>', escape(text, quote=False))


def _channels(channels: Sequence[Channel]) -> str:
    return "".join(f"<br>{_spot(channel.colour)}{_channel(channel)}" for channel in channels)


def _channel(channel: Channel) -> str:
    value = f" = {channel.value}" if channel.value is not None else ""
    about = f": {channel.description}" if channel.description else ""
    return escape(f"{channel.name}{value}{about}", quote=False)


def _spot(colour: str) -> str:
    known = colour.lower() in NAMES or re.fullmatch(r"#[0-9a-fA-F]{6}", colour)
    return f'<span style="color:{colour}">■</span> ' if known else ""


def _values(card: ModelCard) -> str:
    means = [
        f"{each['mean']:.4g} ± {each['std']:.3g}"
        for each in card.training_statistics.get("channels", ())
    ]
    count = card.training_statistics.get("images")
    return f"{', '.join(dict.fromkeys(means))} (mean of {count} images)" if means else ""


def _figures(card: ModelCard) -> str:
    return "".join(
        "<br>" + escape(f"{name.replace('_', ' ')}: {value:.4g}{' dB' if 'psnr' in name else ''}")
        for name, value in card.figures.items()
    )


def _training(card: ModelCard) -> str:
    schedule = card.recipe.get("schedule", {})
    return ", ".join(
        escape(text)
        for text in (
            card.family.replace("_", " "),
            f"{schedule['steps']:,} {schedule.get('unit', 'steps')}" if "steps" in schedule else "",
            f"in {card.trained_in or schedule.get('precision', '')}".removesuffix("in "),
            f"begun with {card.start}" if card.start else "",
        )
        if text
    )


def _source(card: ModelCard) -> str:
    if not card.origin:
        return ""
    return f"{_plain(str(card.origin.get('url')))}<br>SHA-256 {card.origin.get('sha256')}"


def _tiles(card: ModelCard) -> str:
    if card.exact is None:
        return ""
    if not card.exact or card.halo is None:
        return "blended: the network looks at the whole image"
    return f"exact: each pixel depends on {card.halo} pixels around it"


def _file(card: ModelCard) -> str:
    path: Path = find_model(card.name)
    size = path.stat().st_size / 1e6
    return f"{size:.3g} MB, {escape(card.architecture.replace('_', ' '))}<br>{escape(str(path))}"


def _listed(values: Mapping[str, object]) -> str:
    return escape(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in values.items()))
