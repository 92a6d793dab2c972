"""Axes of images by letter; the only place that reorders them.

Inside napari-tincture the axes of every image stand in one order, a subsequence of ``tczyx``
that ends in ``yx``. What they mean is stated by the user, the file or the layer, never guessed
from sizes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from napari_tincture.errors import InputError

CANONICAL = "tczyx"
"""Time, channel, and the three axes of space, in the order in which arrays are held."""

_SPELLED = {
    "t": "t", "time": "t", "c": "c", "channel": "c", "channels": "c",
    "z": "z", "depth": "z", "y": "y", "x": "x",
}  # fmt: skip
_DEFAULT_LABEL = re.compile(r"(axis )?-?\d+")


def check_axes(axes: str, shape: Sequence[int]) -> str:
    """Validate stated axes against a shape.

    Parameters
    ----------
    axes : str
        One letter of ``tczyx`` per dimension, in the order of the array, in either case.
    shape : sequence of int
        Shape of the array.

    Returns
    -------
    str
        The axes in lower case.

    Raises
    ------
    InputError
        If letters are unknown or repeated, if y or x is missing, or if their number is not that
        of the dimensions.
    """
    letters = str(axes).lower()
    problem = ""
    if set(letters) - set(CANONICAL):
        problem = f"letters {sorted(set(letters) - set(CANONICAL))} are unknown"
    elif len(set(letters)) != len(letters):
        problem = "a letter is repeated"
    elif not {"y", "x"} <= set(letters):
        problem = "y and x must both be among them"
    elif len(letters) != len(shape):
        problem = f"the array has {len(shape)} dimensions, shape {tuple(shape)}"
    if problem:
        raise InputError(
            f"Axes {axes!r} do not describe this image: {problem}. Give one letter of "
            f"'{CANONICAL}' per dimension, for example axes='{example(len(shape))}'."
        )
    return letters


def unknown_axes(shape: Sequence[int], known: str = "") -> InputError:
    """Make the error for an image whose axes nobody stated."""
    detail = f" (its axes are labelled {known})" if known else ""
    return InputError(
        f"The axes of an image of shape {tuple(shape)} cannot be known{detail}. State them, one "
        f"letter of '{CANONICAL}' per dimension: open_image(..., axes='{example(len(shape))}'), "
        "or label the layer's axes so: layer.axis_labels = "
        f"{tuple(example(len(shape)))}."
    )


def example(ndim: int) -> str:
    """Give plausible axes for a message about an array of `ndim` dimensions."""
    return {2: "yx", 3: "zyx", 4: "tzyx"}.get(ndim, CANONICAL)


def spelled(labels: Sequence[str] | None) -> list[str]:
    """Translate axis labels or dimension names to letters, ``?`` where they say nothing."""
    return [_SPELLED.get(str(label).strip().lower(), "?") for label in labels or ()]


def is_default_label(label: str) -> bool:
    """Tell whether a label is one of napari's defaults (``-2``, ``axis -2``), which say nothing."""
    return _DEFAULT_LABEL.fullmatch(str(label).strip()) is not None


def axes_from_labels(labels: Sequence[str], *, last_two_are_yx: bool = False) -> str | None:
    """Read axes from labels such as ``("time", "y", "x")``.

    Parameters
    ----------
    labels : sequence of str
        One label per dimension.
    last_two_are_yx : bool
        Whether default labels of the last two dimensions stand for y and x, as in a napari layer.

    Returns
    -------
    str or None
        The axes in the order of the labels; None if they cannot be read from them.
    """
    letters = spelled(labels)
    if last_two_are_yx and len(labels) >= 2 and all(map(is_default_label, labels[-2:])):
        letters[-2:] = ["y", "x"]
    complete = "?" not in letters and len(set(letters)) == len(letters)
    return "".join(letters) if complete and {"y", "x"} <= set(letters) else None


def is_canonical(axes: str) -> bool:
    """Tell whether axes are a subsequence of ``tczyx`` that ends in ``yx``."""
    return axes.endswith("yx") and axes == canonical(axes)


def canonical(axes: str) -> str:
    """Sort axes into the order of ``tczyx``."""
    return "".join(a for a in CANONICAL if a in axes)


def permutation(axes: str, target: str) -> tuple[int, ...]:
    """Give, for each axis of `target`, its position in `axes` (the argument of ``transpose``)."""
    return tuple(axes.index(a) for a in target)


def reorder(array: Any, axes: str, target: str) -> Any:
    """Transpose an array from `axes` to `target`; the same array if nothing moves."""
    return array if axes == target else array.transpose(permutation(axes, target))


def display_order(axes: str, wanted: str) -> str:
    """Arrange axes as `wanted`, ignoring its letters that are missing here.

    Axes that `wanted` does not name keep their canonical place relative to their successors.
    """
    result = [a for a in wanted if a in axes]
    for axis in reversed(axes):
        if axis not in result:
            later = [result.index(a) for a in axes[axes.index(axis) + 1 :] if a in result]
            result.insert(min(later, default=len(result)), axis)
    return "".join(result)
