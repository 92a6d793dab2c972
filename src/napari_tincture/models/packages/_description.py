"""What a description says, whichever version of the format it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_tincture.errors import ModelError

SPATIAL = "zyx"


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a tensor.

    Attributes
    ----------
    letter
        Of b, c, z, y, x; t and i for others.
    name
        As the description calls it.
    minimum, step
        Legal lengths are ``minimum + n * step``; with step 0 `minimum` alone.
    like
        Name of the input's axis that this one follows; its length is that one's plus `offset`.
    halo
        Samples at each end of an output that are to be cut off.
    scale, unit
        Length of a sample.
    """

    letter: str
    name: str
    minimum: int = 1
    step: int = 0
    like: str | None = None
    offset: float = 0
    halo: int = 0
    scale: float = 1.0
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something done to a tensor before or after the network, by the names of format 0.5.

    `axes` of statistics are letters; None takes all.
    """

    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output."""

    name: str
    axes: tuple[Axis, ...]
    dtype: str
    steps: tuple[Step, ...]
    channels: tuple[str, ...]
    test: str | None = None
    test_sha256: str | None = None
    limits: tuple[float | None, float | None] = (None, None)
    nominal: bool = False
    description: str = ""

    @property
    def letters(self) -> str:
        """The axes in order."""
        return "".join(axis.letter for axis in self.axes)

    def axis(self, letter: str) -> Axis | None:
        """The axis of a letter, if there is one."""
        return next((axis for axis in self.axes if axis.letter == letter), None)


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights in one format.

    Attributes
    ----------
    code
        File of the network's Python code, and its hash if there is one; None for that of a library.
    library
        Module that the network is imported from, otherwise.
    callable, kwargs
        What is called there, and with what.
    """

    kind: str
    file: str
    sha256: str | None = None
    code: str | None = None
    code_sha256: str | None = None
    library: str | None = None
    callable: str = ""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = True
    external: str | None = None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much a test's result may differ, and in how many elements of a million."""

    relative: float = 1e-3
    absolute: float = 1e-3
    per_million: float = 100.0


@dataclass(frozen=True, slots=True)
class Description:
    """A whole description."""

    version: str
    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: Mapping[str, Weights]
    tolerance: Tolerance = field(default_factory=Tolerance)
    text: str = ""
    licence: str = ""
    citation: str = ""
    tags: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)


def need(values: Any, key: str, where: str) -> Any:
    """A field that must be there."""
    if not isinstance(values, Mapping) or key not in values:
        raise ModelError(f"The package's description lacks {where}.{key}. Ask who made it.")
    return values[key]


def cited(entries: Any) -> str:
    """Citations as one text."""
    found = []
    for entry in entries or ():
        if isinstance(entry, Mapping):
            text = str(entry.get("text") or "")
            links = [str(entry[key]) for key in ("doi", "url") if entry.get(key)]
            found.append(", ".join([text, *(link for link in links if link not in text)]))
    return "; ".join(found)


def weights_of(
    values: Mapping[str, Any], read: Callable[[str, Mapping[str, Any]], Weights]
) -> dict[str, Weights]:
    """The weights by kind, each read as its version of the format has it."""
    entries = need(values, "weights", "").items()
    return {kind: read(kind, entry) for kind, entry in entries if entry is not None}


def common(values: Mapping[str, Any], weights: Mapping[str, Weights]) -> dict[str, Any]:
    """What all versions of the format say alike."""
    licence = values.get("license") or ""
    if isinstance(licence, Mapping):
        licence = f"see {licence.get('source', 'its file')}"
    config = values.get("config")
    config = config if isinstance(config, Mapping) else {}
    return {
        "version": str(values["format_version"]),
        "name": str(values.get("name") or "package"),
        "weights": weights,
        "text": str(values.get("description") or ""),
        "licence": str(licence),
        "citation": cited(values.get("cite")),
        "tags": tuple(str(tag).lower() for tag in values.get("tags") or ()),
        "config": config,
        "tolerance": tolerance(config),
    }


def tolerance(config: Mapping[str, Any]) -> Tolerance:
    """What the description allows; the format's usual values otherwise."""
    own = config.get("bioimageio")
    own = own if isinstance(own, Mapping) else {}
    listed = own.get("reproducibility_tolerance") or ()
    legacy = own.get("test_kwargs")
    legacy = list(legacy.values()) if isinstance(legacy, Mapping) else []
    entry = next((item for item in (*listed, *legacy) if isinstance(item, Mapping)), {})
    usual = Tolerance()
    return Tolerance(
        float(entry.get("relative_tolerance", usual.relative)),
        float(entry.get("absolute_tolerance", usual.absolute)),
        float(entry.get("mismatched_elements_per_million", usual.per_million)),
    )


def read_description(values: Mapping[str, Any]) -> Description:
    """Read a description of any version that is known.

    Raises
    ------
    ModelError
        If it is of another kind or version, or lacks a field.
    """
    from napari_tincture.models.packages import _v0_4, _v0_5

    kind, version = values.get("type", "model"), str(values.get("format_version", "none"))
    if kind != "model":
        raise ModelError(f"The package describes a {kind!r}, expected a model.")
    readers = {"0.4": _v0_4.read, "0.5": _v0_5.read}
    reader = readers.get(".".join(version.split(".")[:2]))
    if reader is None:
        raise ModelError(
            f"The package has format version {version}; versions {' and '.join(readers)} are read. "
            "Update napari-tincture, or convert it with bioimageio.spec."
        )
    try:
        return reader(values)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"The package's description has a field of the wrong kind: {error!r}. Ask who made it."
        ) from error
