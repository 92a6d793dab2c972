"""From what the Train panel shows to a training, or to the reason why there can be none; no Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_tincture.errors import InputError, ReadError
from napari_tincture.io.open import open_image
from napari_tincture.raster import Raster, SourceRef
from napari_tincture.training.begun import Begun
from napari_tincture.worker.train_settings import Side, TrainSettings

WORDS = {"a": "From", "b": "To", "pair_a": "Pairs from", "pair_b": "Pairs to"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person has chosen for one side.

    Attributes
    ----------
    layers
        Of the viewer.
    folder
        A folder, a file or a pattern; empty for none.
    mask
        A Labels layer whose objects are left out, or None.
    """

    layers: Sequence[Any] = ()
    folder: str = ""
    mask: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainChoices:
    """All that the panel asks of a person.

    Attributes
    ----------
    sides
        By the names of `TrainSettings`.
    axes
        Letters per layer name, where its axes cannot be known otherwise.
    channels
        Of "a" and "b", as `Side` takes them.
    values
        As `Side` takes it.
    crop
        Side of the crops in pixels.
    settings
        Further fields of `TrainSettings`.
    """

    sides: Mapping[str, Chosen]
    axes: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, tuple[int | str, ...] | None] = field(default_factory=dict)
    values: str = "auto"
    crop: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """A training that can be begun: its settings, its sources, and what it is of, in words."""

    settings: TrainSettings
    sources: tuple[Raster, ...]
    size: str


def make_train_plan(choices: TrainChoices) -> TrainPlan:
    """Check everything that can be known before a training.

    Raises
    ------
    InputError
        Saying what is missing or does not fit, and what to do.
    """
    sources: list[Raster] = []
    sides, kept, opened = {}, {}, {}
    for name, chosen in choices.sides.items():
        opened[name] = [_open(layer, choices.axes) for layer in chosen.layers]
        if not chosen.layers and not chosen.folder:
            raise InputError(f"{WORDS[name]}: choose layers, or a folder of images.")
        _check_folder(name, chosen.folder)
        _check_sizes(opened[name], choices.crop)
        mask = _mask(chosen, opened[name], choices.axes)
        sides[name] = Side(
            images=(*_numbered(opened[name], sources), *filter(None, [chosen.folder])),
            channels=choices.channels.get(name[-1]), values=choices.values,
            mask=None if mask is None else _numbered([mask], sources)[0],
        )  # fmt: skip
        kept[name] = _kept(chosen, opened[name], sides[name], mask)
    _check_pairs(opened, choices.sides)
    settings = TrainSettings(sides=sides, kept=kept, **choices.settings)
    return TrainPlan(settings, tuple(sources), _size_text(opened, choices.sides))


def resume_plan(
    begun: Begun, viewer: Any, axes: Mapping[str, str], *, steps: int | None, **settings: Any
) -> TrainPlan:
    """A training that goes on, its images looked up again.

    Parameters
    ----------
    steps
        To which it goes on, if there are to be more than were planned.

    Raises
    ------
    InputError
        If images are gone, or nothing is left to do.
    """
    steps = steps or begun.steps
    if steps <= begun.step:
        raise InputError(
            f"{begun.name} has taken all its {begun.step} steps. To train it further, set more "
            "steps under Advanced, Learning."
        )
    sources: list[Raster] = []
    sides = {}
    for name, kept in begun.sources.items():
        found = [_found(each, viewer, axes) for each in kept["layers"]]
        _check_folder(name, kept["folder"])
        images = (*_numbered(found, sources), *filter(None, [kept["folder"]]))
        mask = None
        if kept["mask"] is not None:
            labels = replace(_found(kept["mask"], viewer, axes), name=kept["mask"]["on"])
            (mask,) = _numbered([labels], sources)
        sides[name] = Side.from_json({**kept["side"], "images": images, "mask": mask})
    plan = TrainSettings(
        name=begun.name, sides=sides, base=begun.recipe, resume=True, kept=begun.sources,
        changes={} if steps == begun.steps else {"steps": steps}, **settings,
    )  # fmt: skip
    return TrainPlan(plan, tuple(sources), f"from step {begun.step} to {steps}")


def _open(layer: Any, axes: Mapping[str, str]) -> Raster:
    return open_image(layer, axes=axes.get(layer.name) or None)


def _numbered(rasters: Sequence[Raster], sources: list[Raster]) -> list[int]:
    first = len(sources)
    sources += rasters
    return list(range(first, len(sources)))


def _check_folder(name: str, folder: str) -> None:
    pattern = set(folder) & set("*?[") or "://" in folder
    if folder and not pattern and not Path(folder).expanduser().exists():
        raise InputError(f"{WORDS[name]}: there is no {folder!r}. Choose a folder of images.")


def _check_sizes(rasters: Sequence[Raster], crop: int) -> None:
    for raster in rasters:
        height, width = (raster.sizes[axis] for axis in "yx")
        if min(height, width) < crop:
            raise InputError(
                f"Layer {raster.name!r} has {height} × {width} px (y × x): too little for crops of "
                f"{crop} px. Set smaller crops under Advanced, Data, or choose a larger layer."
            )


def _check_pairs(opened: Mapping[str, list[Raster]], sides: Mapping[str, Chosen]) -> None:
    ours, theirs = (opened.get(name, []) for name in ("pair_a", "pair_b"))
    if "pair_a" not in sides or any(sides[name].folder for name in ("pair_a", "pair_b")):
        return  # the files are looked at where the training runs
    names = [", ".join(repr(r.name) for r in side) for side in (ours, theirs)]
    if len(ours) != len(theirs):
        raise InputError(
            f"{len(ours)} layers to learn from ({names[0]}) and {len(theirs)} to learn "
            f"({names[1]}) are no pairs: each needs its partner."
        )
    for one, other in zip(ours, theirs, strict=True):
        sizes = [tuple(raster.sizes[axis] for axis in "yx") for raster in (one, other)]
        if len(ours) == 1 and sizes[0] != sizes[1]:
            raise InputError(
                "{!r} ({} × {} px) and {!r} ({} × {} px) differ in size. Register them, and crop "
                "both to the same field.".format(one.name, *sizes[0], other.name, *sizes[1])
            )


def _mask(chosen: Chosen, images: Sequence[Raster], axes: Mapping[str, str]) -> Raster | None:
    """Labels that lie on one of the images; they get its name, by which they find each other."""
    if chosen.mask is None:
        return None
    mask = _open(chosen.mask, axes)
    fit = [r for r in images if all(r.sizes[axis] == mask.sizes[axis] for axis in "yx")]
    if not fit:
        raise InputError(
            f"The labels {mask.name!r} ({mask.sizes['y']} × {mask.sizes['x']} px) have the size of "
            "none of the layers to learn from. Draw them on one of these."
        )
    return replace(mask, name=fit[0].name)


def _kept(
    chosen: Chosen, rasters: Sequence[Raster], side: Side, mask: Raster | None
) -> dict[str, Any]:
    """What `resume_plan` finds them by."""
    layers = [
        {"name": raster.name, "source": raster.source and raster.source.to_json()}
        for raster in rasters
    ]
    labels = mask and {"name": chosen.mask.name, "source": None, "on": mask.name}
    own = {"channels": side.channels, "values": side.values}
    return {"layers": layers, "folder": chosen.folder, "mask": labels, "side": own}


def _found(kept: Mapping[str, Any], viewer: Any, axes: Mapping[str, str]) -> Raster:
    if kept["name"] in viewer.layers:
        return _open(viewer.layers[kept["name"]], axes)
    problem = f"The layer {kept['name']!r} is gone, which this training learns from. Open it again"
    if kept["source"] is None:
        raise InputError(f"{problem} under this name.")
    try:
        return SourceRef.from_json(kept["source"]).open()
    except (ReadError, InputError, OSError) as error:
        raise InputError(f"{problem}: {error}") from error


def _size_text(opened: Mapping[str, list[Raster]], sides: Mapping[str, Chosen]) -> str:
    def text(name: str) -> str:
        count = len(opened[name])
        parts = [f"{count} layer{'s' * (count > 1)}"] if count else []
        return " and ".join([*parts, *([Path(sides[name].folder).name] * bool(sides[name].folder))])

    pairs = [("a", "b", ""), ("pair_a", "pair_b", "pairs of ")]
    told = [
        f"{word}{' → '.join(text(side) for side in (one, two) if side in sides)}"
        for one, two, word in pairs
        if one in sides
    ]
    return ", ".join(told)
