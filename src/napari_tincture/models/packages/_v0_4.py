"""Descriptions of format 0.4, by the terms of 0.5."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
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
    """Read a description; see https://github.com/bioimage-io/spec-bioimage-io, format 0.4."""
    weights = weights_of(values, _weights)
    tests = values.get("test_inputs") or (), values.get("test_outputs") or ()
    inputs = [_tensor(item, "preprocessing") for item in need(values, "inputs", "")]
    outputs = [_tensor(item, "postprocessing") for item in need(values, "outputs", "")]
    return Description(
        inputs=_tested(inputs, tests[0]),
        outputs=_tested(outputs, tests[1]),
        **common(values, weights),
    )


def _tested(tensors: Sequence[Tensor], files: Sequence[Any]) -> tuple[Tensor, ...]:

    named = [*map(str, files), *(None for _ in tensors)]
    return tuple(dataclasses.replace(t, test=file) for t, file in zip(tensors, named, strict=False))


def _tensor(item: Mapping[str, Any], steps: str) -> Tensor:
    name = str(need(item, "name", "tensor"))
    letters, shape = str(need(item, "axes", name)), need(item, "shape", name)
    axes = _axes(letters, shape, item.get("halo"), name)
    done = tuple(_step(step, letters) for step in item.get(steps) or ())
    count = next((axis.minimum for axis in axes if axis.letter == "c"), 1)
    channels = [name] if count == 1 else [f"{name} {n}" for n in range(count)]
    low, high = (_finite(value) for value in item.get("data_range") or (None, None))
    return Tensor(
        name, axes, str(item.get("data_type", "float32")), done, tuple(channels),
        limits=(low, high), description=str(item.get("description") or ""),
    )  # fmt: skip


def _finite(value: Any) -> float | None:
    number = None if value is None else float(value)
    return number if number is not None and abs(number) < float("inf") else None


def _axes(letters: str, shape: Any, halo: Any, name: str) -> tuple[Axis, ...]:
    alien = set(letters) - set("bctizyx")
    if alien:
        raise ModelError(f"The tensor {name!r} has the axes {letters!r}; expected of bczyx.")
    halos = list(halo or [0] * len(letters))
    if isinstance(shape, Mapping) and "reference_tensor" in shape:
        rows = zip(letters, shape["scale"], shape["offset"], halos, strict=True)
        return tuple(_implicit(*row) for row in rows)
    least = shape["min"] if isinstance(shape, Mapping) else shape
    steps = shape["step"] if isinstance(shape, Mapping) else [0] * len(letters)
    return tuple(
        Axis(letter, letter, int(size), int(step), halo=int(rim))
        for letter, size, step, rim in zip(letters, least, steps, halos, strict=True)
    )


def _implicit(letter: str, scale: float | None, offset: float, halo: int) -> Axis:
    """An axis that follows that of the input: ``length = scale * input's + 2 * offset``."""
    if not scale:  # a new axis
        return Axis(letter, letter, int(2 * offset))
    # Channels keep their number only at scale 1; it is found when the network has run.
    return Axis(letter, letter, 0, 0, letter, 2 * offset, int(halo), 1 / scale)


def _step(step: Mapping[str, Any], letters: str) -> Step:
    name, kwargs = str(need(step, "name", "step")), dict(step.get("kwargs") or {})
    mode = kwargs.pop("mode", None)
    axes = kwargs.get("axes")
    if name in ("scale_linear", "zero_mean_unit_variance") and (
        name == "scale_linear" or mode == "fixed" or (mode is None and "mean" in kwargs)
    ):
        kwargs.pop("axes", None)
        kwargs.pop("eps", None)
        other = [a for a in letters if a != "b" and axes is not None and a not in axes]
        if any(isinstance(value, list) for value in kwargs.values()):
            kwargs["axis"] = other[0] if other else "c"
        return Step("fixed_zero_mean_unit_variance" if name[0] == "z" else name, kwargs)
    if mode == "per_dataset":
        kwargs["axes"] = "b" + str(axes or "")
    return Step(name, kwargs)


def _weights(kind: str, entry: Mapping[str, Any]) -> Weights:
    made = str(entry.get("architecture") or "")
    code, library, called = None, None, ""
    if ":" in made:
        code, _, called = made.rpartition(":")
    elif made:
        library, _, called = made.rpartition(".")
    return Weights(
        kind,
        str(need(entry, "source", f"weights.{kind}")),
        entry.get("sha256"),
        code,
        entry.get("architecture_sha256"),
        library,
        called,
        dict(entry.get("kwargs") or {}),
    )
