"""Descriptions of format 0.5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_tincture.errors import ModelError
from napari_tincture.models.packages._description import (
    Axis,
    Description,
    Step,
    Tensor,
    Weights,
    common,
    need,
    weights_of,
)


def read(values: Mapping[str, Any]) -> Description:
    """Read a description; see https://github.com/bioimage-io/spec-bioimage-io, format 0.5."""
    weights = weights_of(values, _weights)
    inputs = tuple(_tensor(item, "preprocessing") for item in need(values, "inputs", ""))
    outputs = tuple(_tensor(item, "postprocessing") for item in need(values, "outputs", ""))
    return Description(inputs=inputs, outputs=outputs, **common(values, weights))


def _tensor(item: Mapping[str, Any], steps: str) -> Tensor:
    name = str(item.get("id") or ("input" if steps == "preprocessing" else "output"))
    axes = tuple(_axis(axis) for axis in need(item, "axes", name))
    letter = {axis.name: axis.letter for axis in axes}
    data = item.get("data") or {}
    first = data[0] if isinstance(data, list) else data
    dtype = str(first.get("type", "uint8" if "values" in first else "float32"))
    low, high = first.get("range") or (None, None)
    test = item.get("test_tensor") or {}
    channels = next((a["channel_names"] for a in item["axes"] if _kind(a) == "channel"), [name])
    done = [_step(step, letter) for step in item.get(steps) or ()]
    # The format says that a tensor ends in its own type unless its steps say otherwise.
    if not done or done[-1].name not in ("ensure_dtype", "binarize"):
        done.append(Step("ensure_dtype", {"dtype": dtype}))
    return Tensor(
        name, axes, dtype, tuple(done), tuple(map(str, channels)), test.get("source"),
        test.get("sha256"), (low, high), "values" in first, str(item.get("description") or ""),
    )  # fmt: skip


def _kind(axis: Mapping[str, Any] | str) -> str:
    return str(axis["type"]) if isinstance(axis, Mapping) else axis


def _axis(axis: Mapping[str, Any]) -> Axis:
    kind = str(need(axis, "type", "axes"))
    usual = {"batch": "batch", "channel": "channel", "time": "time", "index": "index"}
    name = str(axis.get("id") or usual.get(kind, "x"))
    letters = {"batch": "b", "channel": "c", "time": "t", "index": "i"}
    letter = letters.get(kind, name)
    if letter not in "bctizyx":
        raise ModelError(f"The package has an axis {name!r} of type {kind!r}; expected z, y or x.")
    if kind == "channel":
        return Axis(letter, name, len(axis["channel_names"]))
    scale, unit, halo = float(axis.get("scale", 1)), axis.get("unit"), int(axis.get("halo", 0))
    size = axis.get("size")
    if isinstance(size, Mapping) and "axis_id" in size:
        like, offset = str(size["axis_id"]), float(size.get("offset", 0))
        return Axis(letter, name, 1, 0, like, offset, halo, scale, unit)
    if isinstance(size, Mapping):
        least, step = int(size["min"]), int(size.get("step", 0))
        return Axis(letter, name, least, step, None, 0, halo, scale, unit)
    return Axis(letter, name, int(size or 1), 0, None, 0, halo, scale, unit)


def _step(step: Mapping[str, Any], letter: Mapping[str, str]) -> Step:
    kwargs = dict(step.get("kwargs") or {})
    if kwargs.get("axes") is not None:
        kwargs["axes"] = "".join(letter.get(name, "b") for name in kwargs["axes"])
    if "axis" in kwargs:
        kwargs["axis"] = letter.get(kwargs["axis"], str(kwargs["axis"]))
    return Step(str(need(step, "id", "step")), kwargs)


def _weights(kind: str, entry: Mapping[str, Any]) -> Weights:
    made = entry.get("architecture") or {}
    external = entry.get("external_data")
    return Weights(
        kind,
        str(need(entry, "source", f"weights.{kind}")),
        entry.get("sha256"),
        made.get("source"),
        made.get("sha256"),
        made.get("import_from"),
        str(made.get("callable", "")),
        dict(made.get("kwargs") or {}),
        bool(entry.get("strict", True)),
        None if external is None else str(need(external, "source", "external_data")),
    )
