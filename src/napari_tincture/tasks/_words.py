"""Provenance in plain words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from napari_tincture.blend import told
from napari_tincture.models.shipped import list_models

WIDTH = 100
INDENT = 15
HASH = 16
"""Digits that are shown of the SHA-256 of a sample."""

Row = tuple[str, str]


def words_of(
    name: str, steps: Sequence[Mapping[str, Any]], origin: Mapping[str, Any], software: str,
    width: int = WIDTH,
) -> str:  # fmt: skip
    """Tell how an image was made, in lines of `width` letters."""
    lines = [name, *_paragraphs(((key, _text(value)) for key, value in origin.items()), width)]
    if not steps:
        return "\n".join([*lines, "How it was made is not recorded in it."])
    if software:
        lines += _paragraphs([("written by", software)], width)
    for number, step in enumerate(steps, start=1):
        lines += [
            "",
            f"{number}. {step.get('step', 'unknown step')}",
            *_paragraphs(_rows(step), width),
        ]
    return "\n".join(lines)


def _rows(step: Mapping[str, Any]) -> Iterator[Row]:
    sources = step.get("sources") or [{"name": step.get("image", "")}]
    for number, source in enumerate(sources):
        yield ("image" if number == 0 else f"image {number + 1}"), _image(source)
    if "model" in step:
        yield "model", _model(step)
    settings = step.get("settings") or {}
    yield "settings", ", ".join(f"{k} {_text(v)}" for k, v in settings.items() if v is not None)
    if changed := step.get("objects"):
        yield "objects", f"{changed['changed']} of {changed['of']} changed"
    run = step.get("run") or {}
    if run:
        yield from _run(run)
    elif "model" in step:
        yield "computed", "not yet, or not recorded"


def _run(run: Mapping[str, Any]) -> Iterator[Row]:
    tile = " × ".join(str(side) for side in run.get("tile", ()))
    tiles = f", tiles of {tile} pixels" if tile else ""
    yield "computed", f"on {run.get('device')} in {run.get('precision')}{tiles}"
    if "exact" in run:
        yield "exact", _exact(run)
    if run.get("seams"):
        yield "seams", told(run["seams"])
    for text in dict.fromkeys(_context(v.get("how", {})) for v in run.get("values", {}).values()):
        yield "whole image", text
    if "objects" in run:
        yield "objects", str(run["objects"])
    for event in run.get("events", ()):
        yield "event", str(event)
    if run.get("warning"):
        yield "warning", str(run["warning"])
    if run.get("versions"):
        yield "versions", ", ".join(f"{k} {v}" for k, v in run["versions"].items())


def _exact(run: Mapping[str, Any]) -> str:
    if run.get("exact"):
        return "yes: what the network gives on the whole image at once, up to float rounding"
    return "no: tiles are blended, or values of the whole image were not found from all of it"


def _context(how: Mapping[str, Any]) -> str:
    parts = []
    if statistics := how.get("statistics"):
        parts.append(f"input is normalised by statistics of: {statistics}")
    used, of_tiles = how.get("tiles"), how.get("of_tiles")
    ways = {
        "lock-step": f"values found from {used} of {of_tiles} tiles in lock-step",
        "passes": f"values found from {used} of {of_tiles} tiles, one pass per value",
        "sampled": f"values sampled from {used} of {of_tiles} tiles",
        "tile": "every tile has its own values",
    }
    if context := how.get("context"):
        parts.append(ways.get(context, str(context)))
    if how.get("halves_differ") is not None and context == "sampled":
        parts.append(f"two halves of which differ by {how['halves_differ']:.2g} deviations")
    return ", ".join(parts) or "the network takes nothing from the whole image"


def _image(source: Mapping[str, Any]) -> str:
    parts = [repr(source.get("name", ""))]
    if source.get("shape"):
        size = " × ".join(map(str, source["shape"]))
        parts.append(f"{source.get('axes')} {size} {source.get('dtype')}")
    parts.append(_whence(source))
    if signature := source.get("signature"):
        parts.append(f"sample of its pixels SHA-256 {str(signature.get('sample'))[:HASH]}…")
    if source.get("signature", {}).get("sample", "") is None:
        parts.append("parts of which could not be read")
    return ", ".join(part for part in parts if part)


def _whence(source: Mapping[str, Any]) -> str:
    if source.get("computed"):
        return "the result of the step before"
    if "source" not in source:
        return ""
    ref = source["source"]
    if ref is None:
        return "from memory"
    members = ref.get("options", {}).get("members", ())
    path = ref.get("path") or " + ".join(str(member.get("path")) for member in members)
    kind = "sample " if ref.get("kind") == "sample" else ""
    done = [step for step, _ in ref.get("steps", ()) if step in ("crop", "plane", "restate")]
    return f"from {kind}{path}" + (f" ({', '.join(done)})" if done else "")


def _model(step: Mapping[str, Any]) -> str:
    name = str(step.get("model", "unknown"))
    parts = [f"{name} ({step.get('architecture', 'architecture unknown')})"]
    if weights := step.get("weights"):
        parts.append(f"SHA-256 {weights}")
    licence = step.get("licence") or next(
        (card.licence for card in list_models() if card.name == name), ""
    )
    parts.append(f"licence {licence}" if licence else "licence not stated")
    if file := step.get("model_file"):
        parts.append(f"from {file}")
    return ", ".join(parts)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)


def _paragraphs(rows: Iterable[Row], width: int) -> list[str]:
    lines: list[str] = []
    for title, text in rows:
        first = f"   {title}".ljust(INDENT - 1) + " "
        lines += textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=" " * INDENT,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return lines
