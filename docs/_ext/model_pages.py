"""A page for every shipped model, made of its card."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_tincture.models import ModelCard, find_card
from napari_tincture.models.pictures import picture_path
from napari_tincture.models.shipped import find_model, shipped_folder

INDEX = """# Shipped models

Starting points, not instruments: each has seen images of few sources, as its page says. Try it on
images whose truth you know before you believe it on others, and train on your own where it will not
do. Your own models are listed beside these; `napari-tincture models show NAME` prints their cards.

| model | task | from | to |
|---|---|---|---|
{rows}

```{{toctree}}
:hidden:

{pages}
```
"""
USE = """## Limits and intended use

It has learned from the images named above alone: of another stain, microscope, magnification or
kind of sample nothing is known until you have measured it.

Research, teaching and method development. It is **not** for diagnosis, nor for any decision on a
patient. {task} See {{doc}}`../../concepts/what_a_stain_can_say`.
"""
BY_TASK = {
    "stain": "A virtual stain is a guess from what the unstained image shows; "
    "it proves the presence of no substance.",
    "segment": "Counts and outlines have errors; state those measured on images of your own.",
    "synthesize": "Its images are **synthetic** and show no real place; say so where they appear.",
}
COLUMNS = {
    "pearson": "Pearson correlation",
    "ssim": "SSIM",
    "psnr": "PSNR, dB",
    "mse": "mean squared error",
}
PICTURES = {"hologram-to-brightfield": "hologram.png"}
"""Pictures that are elsewhere, of images that are not shipped."""
NOTES = {
    "em-membranes": "The micrograph is **synthetic**, by `em-tissue`: no real one is shipped.",
    "hologram-to-brightfield": "A test hologram, the virtual bright field, the way back, cycle "
    "error and standard deviation.",
}
SOURCES = {
    "image": "channel of the image", "class": "class of the label map", "noise": "drawn noise",
    "edge": "edges of objects", "feature": "map of an encoder",
}  # fmt: skip


def write_models(source: Path) -> dict[str, str]:
    """Pages by file name; `source` is the folder of the pages."""
    names = sorted(path.stem for path in shipped_folder().glob("*.safetensors"))
    cards = {name: find_card(name) for name in names}
    rows = "\n".join(
        f"| {{doc}}`{name}` | {card.task} | {_channels(card.inputs)} | {_channels(card.outputs)} |"
        for name, card in cards.items()
    )
    pages = {f"models/{name}.md": _page(name, card, source) for name, card in cards.items()}
    return {"models/index.md": INDEX.format(rows=rows, pages="\n".join(names)), **pages}


def _page(name: str, card: ModelCard, source: Path) -> str:
    shown = _picture(name, source)
    parts = [
        f"# {name}",
        card.description,
        shown,
        f"```{{code-block}} python\n{_call(name, card)}\n```",
        "## Expected input",
        _table(dict(_expected(card))),
        _channel_table("Inputs", card.inputs),
        _channel_table("Outputs", card.outputs),
        "## Training",
        _table(dict(_training(name, card))),
        "## Figures",
        _figures(card),
        USE.format(task=BY_TASK[card.task]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _picture(name: str, source: Path) -> str:
    """The picture of the card, copied to where the pages are written, or one of the pages."""
    shown = PICTURES.get(name, f"reference/models/{name}.png")
    if name not in PICTURES and picture_path(name).exists():
        (source / shown).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture_path(name), source / shown)
    if not (source / shown).exists():
        return ""
    return f"![{name}: what it takes and gives](../../{shown})\n\n{NOTES.get(name, '')}".strip()


def _call(name: str, card: ModelCard) -> str:
    given = "label_map" if card.task == "synthesize" else "image"
    return f'made = nt.{card.task}({given}, "{name}")'


def _expected(card: ModelCard) -> Iterator[tuple[str, str]]:
    yield "pixel size", f"{card.pixel_size:g} µm" if card.pixel_size else "not stated: any is taken"
    kinds = {
        "percentile": f"percentiles {card.normalisation.low:g} and {card.normalisation.high:g} of "
        "the whole image",
        "standard": "mean and standard deviation of the whole image",
        "dtype": "the range of the image's integer type",
        "none": "as they are",
    }
    yield "values", f"normalised by {kinds.get(card.normalisation.kind, card.normalisation.kind)}"
    if card.class_inputs:
        yield "values", "class numbers of a label map"
    low, high = card.output_range
    yield "output range", f"{low:g} to {high:g}"
    yield "also gives", ", ".join(card.offers[1:]) if card.task == "stain" else ""
    yield "network", f"{card.architecture}{f', trained as {card.family}' if card.family else ''}"
    if card.halo is not None:
        yield "reach", f"{card.halo} pixels around a tile, stride {card.stride}"
    yield "tiles", "exact" if card.exact else "windows that agree at every step, or blended"
    if card.denoising is not None:
        usual = ", ".join(f"{key} {value}" for key, value in card.denoising.usual.items())
        yield "drawn with", usual


def _training(name: str, card: ModelCard) -> Iterator[tuple[str, str]]:
    yield "data", card.data
    yield "split", card.split
    yield "licence of the weights", card.licence
    yield "please cite", card.citation
    yield "size", f"{find_model(name).stat().st_size / 1e6:.1f} MB"


def _figures(card: ModelCard) -> str:
    if not card.figures:
        return "None are on the card."
    rows = {_figure_name(key): f"{value:.3g}" for key, value in card.figures.items()}
    notes = "Measured on the test split above. {doc}`../../about/measured` has more."
    return f"{_table(rows, 'figure', 'value')}\n\n{notes}"


def _figure_name(key: str) -> str:
    """The name in words where it is short for some; ``_1`` is the second channel."""
    stem, _, channel = key.rpartition("_")
    if stem in COLUMNS and channel.isdigit():
        return f"{COLUMNS[stem]}, channel {int(channel) + 1}"
    return COLUMNS.get(key, key.replace("_", " "))


def _table(rows: Mapping[str, Any], first: str = "", second: str = "") -> str:
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value]
    return "\n".join([f"| {first} | {second} |", "|---|---|", *lines])


def _channel_table(title: str, channels: Any) -> str:
    lines = [
        f"| {each.name} | {each.description or SOURCES[each.source]} | {_or_dash(each.value)} |"
        for each in channels
    ]
    return "\n".join([f"### {title}\n", "| channel | what | value |", "|---|---|---|", *lines])


def _channels(channels: Any) -> str:
    names = [each.name for each in channels]
    if len(names) < 7:
        return ", ".join(names)
    return f"{names[0]} … {names[-1]}, {len(names)} channels"


def _or_dash(value: int | None) -> str:
    return "–" if value is None else str(value)
