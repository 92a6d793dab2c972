"""Provenance as lines of Python that run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_tincture.models.shipped import list_models

OF_MODELS = ("stain", "segment", "synthesize", "enlarge")
OTHERS = ("link", "derive_labels", "repaint")
"""Tasks that take no model."""
IMPORTS = {
    "nt": "import napari_tincture as nt",
    "samples": "from napari_tincture import samples",
    "SourceRef": "from napari_tincture.source import SourceRef",
}


def lines_of(steps: Sequence[Mapping[str, Any]], path: str = "") -> list[str]:
    """Give the lines; what cannot be opened again is left as ``...`` with a comment.

    `path` is that of the result, if it was saved.
    """
    if not steps:
        return []
    lines: list[str] = []
    for number, step in enumerate(steps, start=1):
        saved = path if number == len(steps) else ""
        lines += ["", *_step(step, number, saved)]
    used = [line for name, line in IMPORTS.items() if any(f"{name}." in text for text in lines)]
    return [*used, *lines]


def _step(step: Mapping[str, Any], number: int, saved: str) -> list[str]:
    task = step.get("step")
    if task not in (*OF_MODELS, *OTHERS):
        return [f"# step {number}, {task!r}, is not known to this release of napari-tincture"]
    sources = step.get("sources") or [{"name": step.get("image", "")}]
    lines, names = [], []
    for place, source in enumerate(sources):
        more, name = _image(source, number, place, task)
        lines += more
        names.append(name)
    more, model = _model(step, number) if task in OF_MODELS else ([], "")
    arguments = [
        *([f"result_{number - 1}"] if task == "repaint" else []),
        names[0],
        *([model] if model else []),
        *_arguments(step.get("settings") or {}, names, saved),
    ]
    return [*lines, *more, f"result_{number} = nt.{task}({', '.join(arguments)})"]


def _image(source: Mapping[str, Any], number: int, place: int, task: str) -> tuple[list[str], str]:
    """Give the lines that open an image, and the name that it then has."""
    name = f"image_{number}" + (f"_{place + 1}" if place else "")
    before = f"result_{number - 1}" if number > 1 and place == 0 and task != "repaint" else ""
    ref = source.get("source")
    size = " × ".join(map(str, source.get("shape", ())))
    known = f"{source.get('name')!r}, {source.get('axes')} {size} {source.get('dtype')}"
    if before and source.get("computed"):
        return [], before
    if ref is None and before:
        return [f"# {before} was {known} at this point; crop it first if it is larger"], before
    if ref is None:
        return [f"{name} = ...  # {known}: it was in memory"], name
    comment = f"  # or go on with {before}" if before else ""
    return [f"{name} = {opened_by(ref)}{comment}"], name


def opened_by(ref: Mapping[str, Any]) -> str:
    """The expression that opens a source."""
    return _in_words(ref) or f"SourceRef.from_json({ref!r}).open()"


def _in_words(ref: Mapping[str, Any]) -> str | None:
    """Spell how a source is opened, if public functions can."""
    text = _base(ref)
    for step, arguments in ref.get("steps", ()):
        if text is None:
            return None
        if step == "crop":
            inside = ", ".join(f"{a!r}: slice({b}, {e})" for a, (b, e) in arguments.items())
            text = f"{text}.crop({{{inside}}})"
        elif step == "plane":
            text = f"{text}.plane({_keywords(arguments)})"
        elif step == "restate":
            text = f"nt.open_image({text}, {_keywords(arguments)})"
        else:
            text = None
    return text


def _base(ref: Mapping[str, Any]) -> str | None:
    options = ref.get("options", {})
    if ref.get("kind") == "channels":
        members = [_in_words(member) for member in options["members"]]
        known = [member for member in members if member is not None]
        return f"nt.open_image([{', '.join(known)}])" if len(known) == len(members) else None
    if ref.get("kind") not in ("path", "sample") or "levels" in options:
        return None
    opener = "samples.load" if ref["kind"] == "sample" else "nt.open_image"
    keywords = _keywords(options)
    return f"{opener}({ref['path']!r}{', ' if keywords else ''}{keywords})"


def _model(step: Mapping[str, Any], number: int) -> tuple[list[str], str]:
    if file := step.get("model_file"):
        return [], repr(file)
    if step.get("model") in {card.name for card in list_models()}:
        return [], repr(step["model"])
    name = f"model_{number}"
    weights = f", SHA-256 {step['weights']}" if step.get("weights") else ""
    return [f"{name} = ...  # {step.get('model')!r}, a model of your own{weights}"], name


def _arguments(settings: Mapping[str, Any], images: Sequence[str], saved: str) -> list[str]:
    found = []
    for key, value in settings.items():
        if key == "context" and value == "given":
            # The values that were given are in the result, which gives them again.
            found.append(f"context=nt.open_image({saved!r})" if saved else "context=...")
        elif value is not None and value != "auto":
            found.append(f"{key}={spelled(value, images)}")
    return found


def spelled(value: Any, images: Sequence[str]) -> str:
    """The expression of a setting, in which ``{"source": 0}`` stands for the first image."""
    if isinstance(value, Mapping):
        if set(value) == {"source"} and value["source"] in range(len(images)):
            return images[value["source"]]
        if {"name", "axes", "source"} <= set(value):  # an image
            return opened_by(value["source"]) if value["source"] else "..."
        return "{" + ", ".join(f"{k!r}: {spelled(v, images)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(spelled(item, images) for item in value) + "]"
    return repr(value)


def _keywords(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in arguments.items())
