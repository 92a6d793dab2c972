"""Whether images lie where their reference is, before they are compared; and putting them there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from napari_tincture.alignment import align, estimate
from napari_tincture.alignment.align import Registration
from napari_tincture.errors import InputError
from napari_tincture.progress import CancelToken, Progress, share
from napari_tincture.raster import Raster
from napari_tincture.tasks.comparison import unlike

Align = Literal["check"] | Registration


class Lying(NamedTuple):
    """Images to be compared and what is to be said of how they lie.

    Attributes
    ----------
    images, names
        Those that were given, each followed by itself as aligned, if it was.
    notes
        Warnings, and what was moved.
    settings
        By name, what was found, with the warning as ``warning`` and the name of the image as
        aligned, if it was, as ``aligned``; JSON-serialisable.
    """

    images: list[Raster]
    names: list[str]
    notes: list[str]
    settings: dict[str, Any]


def lying(
    images: Sequence[Raster], names: Sequence[str], reference: Raster, how: Align | None,
    progress: Progress, cancel: CancelToken,
) -> Lying:  # fmt: skip
    """Check how images lie, and align them if asked to; `how` as `compare` takes it.

    Raises
    ------
    InputError
        If `how` is unknown.
    Cancelled
        If `cancel` was raised.
    """
    if how is None:
        return Lying([*images], [*names], [], {})
    known = ("check", *get_args(Registration))
    if how not in known:
        raise InputError(f"align={how!r}: expected None or one of {', '.join(map(repr, known))}.")
    found = Lying([], [], [], {})
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        found.images.append(image)
        found.names.append(name)
        taken = [*names, *found.names]
        report = share(progress, number, len(images))
        _look(found, image, name, reference, how, taken, report, cancel)
    return found


def _look(
    found: Lying, image: Raster, name: str, reference: Raster, how: Align, taken: Sequence[str],
    progress: Progress, cancel: CancelToken,
) -> None:  # fmt: skip
    most: Any = {"check": "similarity", "flow": "affine"}.get(how, how)
    off = estimate(image, reference, model=most, progress=progress, cancel=cancel)
    found.settings[name] = {**off.to_json(), "warning": off.warning}
    if off.warning:
        found.notes.append(f"{name}: {off.warning}")
    if how == "check" or not off.found:
        return
    done = align(image, reference, model=how, misalignment=off, cancel=cancel)
    if done.model == "none":
        found.notes.append(f"{name}: {done.how}.")
        return
    new = unlike(f"{name} aligned", taken)
    found.images.append(done.raster)
    found.names.append(new)
    found.settings[name]["aligned"] = new
    found.notes.append(f"{new}: {done.how}.")
