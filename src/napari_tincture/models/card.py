"""What a model is, takes and gives: the card that travels with its weights.

No torch here: napari's process reads cards to fill its menus.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tincture.errors import InputError, ModelError

Task = Literal["stain", "segment", "synthesize"]
Border = Literal["clip", "mirror"]
Kind = Literal["none", "range", "dtype", "percentile", "standard"]
SMALLEST_SPREAD = 1e-6
"""A flat channel is mapped with this spread instead of dividing by zero."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One input or output channel."""

    name: str
    description: str = ""
    colour: str = "gray"


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How image values become the network's, per channel and over the whole plane.

    Attributes
    ----------
    kind
        ``"none"``: as they are. ``"range"``: `low` and `high` are values, mapped to `target`.
        ``"dtype"``: the limits of the integer type (0 and 1 for floats) are mapped to `target`.
        ``"percentile"``: `low` and `high` are percentiles, mapped to `target`.
        ``"standard"``: mean 0 and standard deviation 1.
    clip
        Limits after mapping, or None.
    """

    kind: Kind = "none"
    low: float = 0.0
    high: float = 1.0
    target: tuple[float, float] = (0.0, 1.0)
    clip: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ModelError(
                f"Unknown normalisation {self.kind!r}: choose one of {', '.join(get_args(Kind))}."
            )
        if self.kind in ("range", "percentile") and not self.low < self.high:
            raise ModelError(f"Normalisation needs low < high, got {self.low} and {self.high}.")

    @property
    def needs_image(self) -> bool:
        """Whether `affine` needs statistics of the whole plane."""
        return self.kind in ("percentile", "standard")

    def measure(self, image: ArrayLike) -> NDArray[np.float64]:
        """Statistics of a whole plane (c, y, x): one row of two numbers per channel.

        Rows are the low and high percentile, the mean and standard deviation, or the limits
        that do not depend on the image. Integer types are kept for ``"dtype"``.
        """
        planes = np.asarray(image)
        if planes.ndim != 3 or planes.size == 0:
            raise InputError(f"Expected a plane (c, y, x) with pixels, got shape {planes.shape}.")
        rows = [self._measure_channel(plane) for plane in planes]
        return np.asarray(rows, dtype=np.float64).reshape(len(planes), 2)

    def _measure_channel(self, plane: NDArray[Any]) -> tuple[float, float]:
        if not self.needs_image:
            return self.limits(plane.dtype)
        if plane.dtype.kind not in "biu" or plane.dtype.itemsize > 2:
            return self._measure_values(plane.astype(np.float64))
        values, counts = _tally(plane)
        if self.kind == "percentile":
            low, high = _percentiles(values, counts, (self.low, self.high))
            return low, high
        count = counts.sum()
        mean = float(values @ counts / count)
        return mean, float(np.sqrt((values - mean) ** 2 @ counts / count))

    def _measure_values(self, plane: NDArray[np.float64]) -> tuple[float, float]:
        if self.kind == "percentile":
            low, high = np.percentile(plane, [self.low, self.high])
            return float(low), float(high)
        return float(plane.mean()), float(plane.std())

    def limits(self, dtype: np.dtype[Any] | str) -> tuple[float, float]:
        """The two numbers of `measure` where they do not depend on the image."""
        if self.kind == "range":
            return self.low, self.high
        kind = np.dtype(dtype)
        if self.kind == "dtype" and kind.kind in "iu":
            return float(np.iinfo(kind).min), float(np.iinfo(kind).max)
        return 0.0, 1.0

    def affine(self, stats: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gain and offset per channel, from the statistics that `measure` gives.

        Returns
        -------
        gain, offset
            (c,) float64 each; the network's value is ``clip(value * gain + offset)``.
        """
        rows = np.asarray(stats, dtype=np.float64)
        first, second = rows[:, 0], rows[:, 1]
        if self.kind == "none":
            return np.ones_like(first), np.zeros_like(first)
        if self.kind == "standard":
            gain = 1 / np.maximum(second, SMALLEST_SPREAD)
            return gain, -first * gain
        low, high = self.target
        gain = (high - low) / np.maximum(second - first, SMALLEST_SPREAD)
        return gain, low - first * gain


def _tally(plane: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values of a plane of integers of up to 16 bits, ascending, and how often each occurs.

    Counting takes one pass, many times faster than sorting or summing in double precision; the
    statistics that follow are exact all the same.
    """
    unsigned = plane.dtype.kind in "bu"
    lowest = 0 if unsigned else int(np.iinfo(plane.dtype).min)
    bins = 2 ** (8 * plane.dtype.itemsize)
    counts = np.zeros(bins, np.int64)
    for rows in np.array_split(plane, max(plane.size // 2**18, 1)):
        places = rows.ravel() if unsigned else rows.ravel().astype(np.int32) - lowest
        counts += np.bincount(places, minlength=bins)
    found = counts > 0
    return (np.flatnonzero(found) + lowest).astype(np.float64), counts[found]


def _percentiles(
    values: NDArray[np.float64], counts: NDArray[np.int64], wanted: tuple[float, ...]
) -> list[float]:
    """Percentiles with linear interpolation, as `numpy.percentile` has them."""
    last = np.cumsum(counts) - 1
    result = []
    for percentile in wanted:
        place = percentile / 100 * last[-1]
        below = int(np.floor(place))
        first, second = (
            values[np.searchsorted(last, min(index, last[-1]))] for index in (below, below + 1)
        )
        result.append(float(first + (second - first) * (place - below)))
    return result


@dataclass(frozen=True, slots=True)
class Part:
    """A network beside the one that the card is about.

    Attributes
    ----------
    architecture, options
        Name of a file of `napari_tincture.models`, or for discriminators and encoders of that
        room, and what its ``build`` is called with.
    """

    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything but the weights.

    Attributes
    ----------
    architecture, options
        Name of a file of `napari_tincture.models` (or an entry point) and what its ``build``
        is called with.
    normalisation
        From image values to the network's.
    output_range
        The range of output values that is mapped to integer types; values may exceed it.
    pixel_size
        Micrometres per pixel of the training images, None where unknown.
    border
        ``"clip"``: padded network. ``"mirror"``: it loses `margin` pixels on each side, the
        image is mirrored; legal input sides are congruent to `residue` modulo `stride`.
    stride, halo, exact
        Measured from the network: total stride and receptive field, in pixels, and whether
        tiles with that halo give the whole image's result. None: not measured yet.
    instances
        Parameters of the step from outputs to objects, for ``task="segment"``.
    figures
        Measured on the test split named in `split`.
    """

    name: str
    task: Task
    architecture: str
    inputs: tuple[Channel, ...]
    outputs: tuple[Channel, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    normalisation: Normalisation = Normalisation()
    output_range: tuple[float, float] = (0.0, 1.0)
    rgb_output: bool = False
    pixel_size: float | None = None
    border: Border = "clip"
    stride: int | None = None
    halo: int | None = None
    margin: int = 0
    residue: int = 0
    exact: bool | None = None
    instances: Mapping[str, Any] | None = None
    description: str = ""
    licence: str = ""
    data: str = ""
    split: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    citation: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    version: int = 1

    def __post_init__(self) -> None:
        _check_choice("task", self.task, get_args(Task))
        _check_choice("border", self.border, get_args(Border))
        if not self.inputs or not self.outputs:
            raise ModelError(f"Card {self.name!r} names no input or no output channel.")
        if self.version != 1:
            raise ModelError(
                f"Card {self.name!r} has version {self.version}; this release reads version 1. "
                "Update napari-tincture."
            )

    def replace(self, **changes: Any) -> ModelCard:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        """The card as one JSON object."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card; keys that this release does not know are refused.

        Raises
        ------
        ModelError
            If the text is not JSON, a field is missing, unknown, or of the wrong kind.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ModelError(f"The model card is not valid JSON: {error}.") from error
        if not isinstance(values, dict):
            raise ModelError(f"A model card is a JSON object, got {type(values).__name__}.")
        _check_keys("model card", values, cls)
        try:
            return cls(**_typed(values))
        except (TypeError, AttributeError, ValueError) as error:
            raise ModelError(f"The model card has a field of the wrong kind: {error}.") from error


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    typed = dict(values)
    for key in ("inputs", "outputs"):
        typed[key] = tuple(_read("channel", Channel, item) for item in values[key])
    if "normalisation" in values:
        norm = dict(values["normalisation"])
        for key in ("target", "clip"):
            if norm.get(key) is not None:
                norm[key] = _pair(norm[key])
        typed["normalisation"] = _read("normalisation", Normalisation, norm)
    if "output_range" in values:
        typed["output_range"] = _pair(values["output_range"])
    return typed


def _pair(values: Any) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)


def _read(what: str, kind: type, values: Any) -> Any:
    if not isinstance(values, dict):
        raise ModelError(f"Expected a {what} as a JSON object, got {values!r}.")
    _check_keys(what, values, kind)
    return kind(**values)


def _check_keys(what: str, values: Mapping[str, Any], kind: type) -> None:
    fields = dataclasses.fields(cast(Any, kind))
    known = {item.name for item in fields}
    needed = {
        item.name
        for item in fields
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }
    unknown, missing = sorted(set(values) - known), sorted(needed - set(values))
    if unknown:
        raise ModelError(
            f"The {what} has unknown fields: {', '.join(unknown)}. It was written by another "
            "release or is no napari-tincture model; update napari-tincture."
        )
    if missing:
        raise ModelError(f"The {what} lacks the fields {', '.join(missing)}.")


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ModelError(f"Unknown {what} {value!r}: choose one of {', '.join(choices)}.")
