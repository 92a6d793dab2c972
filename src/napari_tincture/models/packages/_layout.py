"""Sizes, channels and axes of a package's tensors, in the terms of tiling and of cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_tincture.errors import ModelError
from napari_tincture.models.card import GREY, RGB, Channel
from napari_tincture.models.packages._description import Axis, Description, Tensor

SHORT = {"r": "red", "g": "green", "b": "blue"}
MICROMETRES = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6}


def one_input(description: Description) -> Tensor:
    """The input; several cannot be mapped."""
    if len(description.inputs) != 1:
        names = ", ".join(tensor.name for tensor in description.inputs)
        raise ModelError(
            f"The package takes {len(description.inputs)} tensors ({names}); one is supported, "
            "whose channels may be several."
        )
    return _checked(description.inputs[0])


def one_output(description: Description, name: str | None) -> tuple[int, Tensor]:
    """Number and description of the output that is asked for, or the only one."""
    names = [tensor.name for tensor in description.outputs]
    if name is None and len(names) > 1:
        raise ModelError(f"The package gives {len(names)} outputs: choose output= of {names}.")
    if name is not None and name not in names:
        raise ModelError(f"output={name!r}: the package gives {', '.join(names)}.")
    number = 0 if name is None else names.index(name)
    return number, _checked(description.outputs[number])


def _checked(tensor: Tensor) -> Tensor:
    letters = tensor.letters
    if len(set(letters)) < len(letters) or not {"y", "x"} <= set(letters):
        raise ModelError(f"The tensor {tensor.name!r} has the axes {letters!r}; y and x needed.")
    for letter in "tiz":
        axis = tensor.axis(letter)
        if axis is not None and (letter != "z" or axis.minimum > 1 or axis.step):
            raise ModelError(
                f"The tensor {tensor.name!r} has an axis {axis.name!r} that is not of length 1; "
                "models of single planes (y, x) are supported."
            )
    return tensor


def count_of(tensor: Tensor, source: Tensor) -> int:
    """Channels of an output, whose number may follow that of the input's."""
    axis = tensor.axis("c")
    if axis is None:
        return 1
    if axis.like is None:
        return axis.minimum
    return int(len(source.channels) / axis.scale + axis.offset)


def sizes(taken: Tensor, given: Tensor) -> dict[str, Any]:
    """Arguments of `napari_tincture.models.layers.opaque.Sizes`.

    Raises
    ------
    ModelError
        If the output does not lie centred on the input at its scale.
    """
    spans = [(_axis(taken, letter), _axis(given, letter)) for letter in "yx"]
    margins = {_margin(*span, taken) for span in spans}
    if len(margins) > 1:
        raise ModelError("The package's output is smaller than its input by other margins in y, x.")
    (margin,) = margins
    return {
        "minimum": [a.minimum for a, _ in spans],
        "step": [a.step for a, _ in spans],
        "halo": max(b.halo for _, b in spans),
        "margin": margin,
    }


def _axis(tensor: Tensor, letter: str) -> Axis:
    found = tensor.axis(letter)
    assert found is not None
    if found.like is not None and found.minimum == 1 and tensor.axis(found.like) is not None:
        # An input's y may follow its x.
        other = tensor.axis(found.like)
        assert other is not None
        if other is not found and other.like is None:
            least = other.minimum + int(found.offset)
            return Axis(letter, found.name, least, other.step, halo=found.halo, scale=found.scale)
    return found


def _margin(a: Axis, b: Axis, taken: Tensor) -> int:
    if b.like is not None:
        source = taken.axis("y" if b.like == a.name else b.like) or a
        ratio = (source.scale if b.like == a.name else a.scale) / b.scale
        lost = -b.offset / 2
    else:
        ratio, lost = 1.0, (a.minimum - b.minimum) / 2
        if a.step:
            raise ModelError(
                f"The package's output has a fixed length {b.minimum} along {b.name!r} whatever "
                "the image's; a map on the image's grid is needed."
            )
    if abs(ratio - 1) > 1e-6:
        raise ModelError(
            f"The package's output has {ratio:g} samples per pixel of the input along {b.name!r}; "
            "only outputs at the image's scale are supported."
        )
    if lost < 0 or lost != int(lost):
        raise ModelError(
            f"The package's output is {-2 * lost:g} pixels longer than its input along {b.name!r}."
        )
    return int(lost)


def channels(tensor: Tensor, count: int) -> tuple[Channel, ...]:
    """Channels of a card, by the names of the package."""
    names = [name.lower() for name in tensor.channels]
    if tuple(SHORT.get(name, name) for name in names) == RGB:
        return tuple(Channel(name, colour=name) for name in RGB)
    own = list(tensor.channels) if len(tensor.channels) == count else _numbered(tensor.name, count)
    if count == 1 and own == [tensor.name] and tensor.name.startswith("input"):
        own = [GREY]
    text = tensor.description
    return tuple(Channel(name, text) for name in own)


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name} {n}" for n in range(count)]


def pixel_size(tensor: Tensor) -> float | None:
    """Micrometres per pixel; None where y and x differ or the unit is not one of length."""
    found: Sequence[float | None] = [
        axis.scale * MICROMETRES[axis.unit] if axis and axis.unit in MICROMETRES else None
        for axis in map(tensor.axis, "yx")
    ]
    y, x = found
    return y if y is not None and y == x else None
