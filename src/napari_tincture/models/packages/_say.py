"""A card in the words of format 0.5: steps, tensors, licence, citation, documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_tincture.errors import InputError
from napari_tincture.grid import Geometry
from napari_tincture.models.card import Channel, ModelCard

EPS = 1e-12
"""Beside a range or deviation, so small that it changes nothing: ours divide by these alone."""
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32")
LICENCES = {
    "CC0": "CC0-1.0", "CC0 1.0": "CC0-1.0", "CC BY 4.0": "CC-BY-4.0", "CC BY-SA 4.0":
    "CC-BY-SA-4.0", "BSD-3": "BSD-3-Clause", "MIT": "MIT", "BSD-3-Clause": "BSD-3-Clause",
    "BSD-2-Clause": "BSD-2-Clause", "Apache-2.0": "Apache-2.0", "CC0-1.0": "CC0-1.0",
    "CC-BY-4.0": "CC-BY-4.0", "CC-BY-SA-4.0": "CC-BY-SA-4.0",
}  # fmt: skip
DOI = re.compile(r"10\.\d{4,9}/[^\s,;]+[^\s,;.]")
URL = re.compile(r"https?://[^\s,;]+[^\s,;.]")

Fields = dict[str, Any]


def preprocessing(card: ModelCard, dtype: str) -> list[Fields]:
    """Steps that do what the card's normalisation does to values of a type."""
    norm = card.normalisation
    steps: list[Fields] = []
    if norm.kind == "standard":
        steps.append(_step("zero_mean_unit_variance", axes=["y", "x"], eps=EPS))
    elif norm.kind == "percentile":
        steps.append(
            _step(
                "scale_range", axes=["y", "x"], min_percentile=norm.low, max_percentile=norm.high,
                eps=EPS,
            )
        )  # fmt: skip
        steps += _linear(norm.target[1] - norm.target[0], norm.target[0])
    elif norm.kind != "none":
        (gain,), (offset,) = norm.affine([norm.limits(dtype)])
        steps += _linear(float(gain), float(offset))
    if norm.clip is not None:
        steps.append(_step("clip", min=norm.clip[0], max=norm.clip[1]))
    # Else a tensor would begin, and end, in the type of the image.
    first, last = (_step("ensure_dtype", dtype="float32") for _ in range(2))
    return [first, *steps, last] if steps else [first]


def _linear(gain: float, offset: float) -> list[Fields]:
    same = gain == 1 and offset == 0
    return [] if same else [_step("scale_linear", gain=gain, offset=offset)]


def _step(name: str, **kwargs: Any) -> Fields:
    return {"id": name, "kwargs": kwargs}


def image_type(dtype: np.dtype[Any]) -> str:
    """The format's name of a type of image values."""
    name = "float32" if dtype.kind == "f" else dtype.name
    if name not in TYPES:
        raise InputError(f"A test image of {dtype} cannot be packed; expected numbers.")
    return name


def smallest(geometry: Geometry) -> int:
    """Smallest side of an image in pixels of which something is left without the halo."""
    if geometry.border == "mirror":
        return geometry.legal(2 * geometry.margin + 1)
    return geometry.extended(2 * geometry.halo + 1)


def input_tensor(card: ModelCard, geometry: Geometry, dtype: str, test: Fields) -> Fields:
    """The image, as the format describes it."""
    size = {"min": smallest(geometry), "step": geometry.stride}
    space = [{**_space(card, axis), "size": dict(size)} for axis in "yx"]
    return {
        "id": "input",
        "axes": [{"type": "batch"}, _channels(card.inputs), *space],
        "test_tensor": test,
        "data": {"type": dtype},
        "preprocessing": preprocessing(card, dtype),
    }


def output_tensor(card: ModelCard, geometry: Geometry, test: Fields) -> Fields:
    """The result, as the format describes it."""
    halo = {"halo": geometry.halo} if geometry.halo and geometry.border == "clip" else {}
    space = []
    for axis in "yx":
        size: Fields = {"tensor_id": "input", "axis_id": axis}
        if geometry.margin:
            size["offset"] = -2 * geometry.margin
        space.append({**_space(card, axis), "size": size, **halo})
    low, high = card.output_range
    return {
        "id": "output",
        "axes": [{"type": "batch"}, _channels(card.outputs), *space],
        "test_tensor": test,
        "description": f"Values from about {low:g} to {high:g}",
        "data": {"type": "float32"},
    }


def _channels(channels: Sequence[Channel]) -> Fields:
    return {"type": "channel", "channel_names": [channel.name for channel in channels]}


def _space(card: ModelCard, axis: str) -> Fields:
    found: Fields = {"type": "space", "id": axis}
    if card.pixel_size is not None:
        found |= {"unit": "micrometer", "scale": card.pixel_size}
    return found


def safe_name(name: str) -> str:
    """A name of the letters that the format allows, 5 to 64 of them."""
    kept = re.sub(r"[^A-Za-z0-9_+\- ()]+", " ", name).strip()[:64]
    return kept if len(kept) >= 5 else f"{kept} model".strip()


def licence_of(card: ModelCard, given: str | None) -> str | None:
    """An SPDX identifier, or None where the card's licence is none that is known."""
    return given or LICENCES.get(card.licence.split(",")[0].strip())


def citations(card: ModelCard, given: Sequence[Mapping[str, str]]) -> list[Fields]:
    """Entries with a DOI or URL each."""
    for entry in given:
        if not entry.get("text") or not (entry.get("doi") or entry.get("url")):
            raise InputError(f"cite={dict(entry)}: expected 'text', and 'doi' or 'url'.")
    if given:
        return [dict(entry) for entry in given]
    doi, url = DOI.search(card.citation), URL.search(card.citation)
    if doi:
        return [{"text": card.citation, "doi": doi[0]}]
    return [{"text": card.citation, "url": url[0]}] if url else []


def people(authors: Sequence[str | Mapping[str, str]]) -> list[Fields]:
    """Authors, given by name or with the format's fields."""
    found = [{"name": a} if isinstance(a, str) else dict(a) for a in authors]
    for author in found:
        if not author.get("name") or "/" in author["name"]:
            raise InputError(f"authors={author}: expected a name without a slash.")
    return found


def documentation(card: ModelCard, geometry: Geometry, notes: Sequence[str]) -> str:
    """Text for a person, in Markdown."""
    figures = [f"- {name}: {value:g}" for name, value in sorted(card.figures.items())]
    halo = geometry.halo or geometry.margin
    sizes = f"Tiles need a halo of {halo} pixels and sides on multiples of {geometry.stride}."
    lines = [
        f"# {card.name}", "", card.description or "No description.", "",
        f"Takes {_named(card.inputs)}; gives {_named(card.outputs)}.",
        f"The architecture is `{card.architecture}` of napari-tincture, which runs the package",
        "by `napari_tincture.import_package`.", "",
        sizes, *notes, "",
        f"Training data: {card.data or 'not stated'}.", f"Licence: {card.licence or 'not stated'}.",
        f"Citation: {card.citation or 'none'}.", "", "## Validation", "",
        f"Measured on: {card.split or 'not stated'}.", "", *figures,
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _named(channels: Sequence[Channel]) -> str:
    return ", ".join(channel.name for channel in channels)
