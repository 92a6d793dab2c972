"""What a panel asks for: one frozen dataclass, checked once, and JSON on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.precision import PRECISIONS

CONTEXTS = ("auto", "exact", "sampled", "tile")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """One job for the worker.

    Parameters
    ----------
    task
        Name of a module and function of `napari_tincture.tasks`, e.g. ``"stain"``.
    model
        Name or path of a model.
    channels
        Where each model input comes from, in order: number of the source, axis ("c", "z" or
        empty), index along it. None: the task finds out.
    region
        Axis → (start, stop) in pixels of the finest level; None: everything.
    context, device, precision
        As the task takes them.
    values
        What depends on the whole image, by plane, as in a result's provenance; instead of finding
        it as `context` says.
    options
        Further keyword arguments of the task, JSON-able.
    save_to
        Path of the image to write, or None for a result in memory.
    overwrite
        Whether an existing `save_to` is replaced.
    images
        A folder or plate, each image of which gives a result in the folder `save_to`; the job has
        no sources then. None: the job has one image.

    Raises
    ------
    InputError
        If a value cannot be right whatever the image and the model are.
    """

    task: str
    model: str
    channels: tuple[tuple[int, str, int], ...] | None = None
    region: Mapping[str, tuple[int, int]] | None = None
    context: str = "auto"
    values: Mapping[str, Any] | None = None
    device: str = "auto"
    precision: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    save_to: str | None = None
    overwrite: bool = False
    images: str | None = None

    def __post_init__(self) -> None:
        if not self.task.isidentifier():
            raise InputError(f"Expected the name of a task, e.g. 'stain', got {self.task!r}.")
        if not self.model:
            raise InputError("No model was named; choose one.")
        if self.images is not None and self.save_to is None:
            raise InputError("No folder was named for the results of many images; choose one.")
        _expect("context", self.context, CONTEXTS)
        _expect("precision", self.precision, ("auto", *PRECISIONS))
        for axis, (start, stop) in (self.region or {}).items():
            if not 0 <= start < stop:
                raise InputError(
                    f"The region covers {start}:{stop} along {axis}, which holds no pixel; "
                    "choose a region inside the image."
                )

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for the task, without image, model and channels."""
        return {
            "region": self.region,
            "context": {"values": self.values} if self.values else self.context,
            "device": self.device,
            "precision": self.precision,
            **self.options,
        }

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able values that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JobSettings:
        """Read what `to_json` gave; lists become tuples again."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(f"Unknown job settings {unknown}; expected some of {sorted(known)}.")
        region = values.get("region")
        if region is not None:
            region = {axis: (int(start), int(stop)) for axis, (start, stop) in region.items()}
        channels = values.get("channels")
        if channels is not None:
            channels = tuple((int(source), str(axis), int(i)) for source, axis, i in channels)
        return cls(**{**values, "region": region, "channels": channels})


def _expect(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"Expected {name} to be one of {', '.join(choices)}, got {value!r}.")
