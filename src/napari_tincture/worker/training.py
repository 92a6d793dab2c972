"""What the worker does to train: sources in, a recipe, steps that are told of, a model out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from napari_tincture.device import resolve_device
from napari_tincture.raster import Raster
from napari_tincture.training.begun import Begun, read_begun, unused_name
from napari_tincture.training.control import Hooks
from napari_tincture.training.families import COARSE_TO_FINE, changed_recipe
from napari_tincture.training.images.domains import AS_PUBLISHED, Domain
from napari_tincture.training.presets import preset
from napari_tincture.training.preview import Preview
from napari_tincture.training.run import run_recipe
from napari_tincture.training.translate import Run
from napari_tincture.training.translation import DOMAINS, TranslationRecipe
from napari_tincture.worker.drawn_preview import DrawnPreview
from napari_tincture.worker.steering import Steering
from napari_tincture.worker.telling import Previews, Teller
from napari_tincture.worker.train_settings import Side, TrainSettings

PERCENTILES = {"kind": "percentile", "low": 0.1, "high": 99.9}
TARGET = {"target": AS_PUBLISHED.target, "clip": AS_PUBLISHED.target}
NORMALISATIONS: Mapping[str, Mapping[str, Any]] = {
    "dtype": {"kind": "dtype", "target": AS_PUBLISHED.target},
    "percentile": {**PERCENTILES, **TARGET},
    "standard": {"kind": "standard"},
}
Send = Callable[..., None]
"""Tells napari's process: a kind, fields, and perhaps an array."""


def train_for_panel(
    settings: TrainSettings,
    sources: list[Raster],
    steering: Steering,
    send: Send,
    open_view: Callable[[Mapping[str, Any]], Raster],
) -> dict[str, Any]:
    """Train, or go on with a training, and tell of it.

    Parameters
    ----------
    sources
        Layers, by the numbers that the settings have.
    steering
        Pauses and ends it.
    open_view
        Opens what the panel looks at.

    Returns
    -------
    dict
        "path" of the model, the "steps" taken, and the "figures" of its card.
    """
    sides = {name: described(side, sources) for name, side in settings.sides.items()}
    begun = begin(settings, sides)
    recipe = TranslationRecipe.from_dict(begun.recipe)
    with begun.held():
        begun.write()
        teller = Teller(begun, send)
        steering.tell_paused = teller.paused
        made = _preview(recipe, sides, teller, str(resolve_device(settings.device)))
        previews = Previews(made, steering, open_view, teller)
        hooks = Hooks(teller.begin, previews.after_step, previews, max(settings.preview_every, 1))
        run = Run(
            begun.checkpoint, str(resolve_device(settings.device)), control=steering,
            hooks=hooks, logs=(teller,),
        )  # fmt: skip
        try:
            model, _ = run_recipe(recipe, Path(), begun.model, run, images=as_images(sides))
        finally:
            teller.note()
    figures = dict(model.card.figures)
    return {"path": str(begun.model), "steps": teller.step, "figures": figures}


def begin(settings: TrainSettings, sides: Mapping[str, Mapping[str, Any]]) -> Begun:
    """The training that is meant, with a complete recipe.

    Raises
    ------
    InputError
        If the images do not suit the family, or a setting is unknown.
    """
    if settings.resume and settings.base is not None:
        before = read_begun(settings.name)
        recipe = changed_recipe(settings.base, settings.changes)
        return Begun(settings.name, recipe, settings.kept, before.step if before else 0)
    name = unused_name(settings.name)
    recipe = make_recipe(settings, sides).replace(name=name).to_dict()
    return Begun(name, recipe, settings.kept)


def make_recipe(
    settings: TrainSettings, sides: Mapping[str, Mapping[str, Any]]
) -> TranslationRecipe:
    """The recipe of what a panel shows, with everything filled in.

    Parameters
    ----------
    sides
        Described domains; what of them JSON can hold goes into the recipe.
    """
    changes: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in settings.changes.items()
    }
    data = as_images({name: _json_of(side) for name, side in sides.items()})
    if settings.base is not None:
        # What else it learns from stays, such as corrections.
        data = {k: v for k, v in settings.base["data"].items() if k not in DOMAINS} | data
        before = settings.base["schedule"]
        if "steps" in changes:
            # The rate falls over the same part of the training.
            changes.setdefault("hold", before["hold"] * changes["steps"] // before["steps"])
        recipe = changed_recipe(settings.base, {**changes, "data": data, "name": settings.name})
        return TranslationRecipe.from_dict(recipe)
    counts = [
        Domain.from_json(side).channels
        for side in (sides.get("a") or sides["pair_a"], _target(sides))
    ]
    networks = dict(settings.networks)
    for name in COARSE_TO_FINE & networks.keys():
        changes[name] = networks.pop(name)
    own: dict[str, Any] = {
        name: changes.pop(name) for name in ("steps", "crop", "batch") if name in changes
    }
    return preset(
        settings.family, settings.size, name=settings.name, in_channels=counts[0],  # type: ignore[arg-type]
        out_channels=counts[1], networks=networks, data=data, **own, **changes,
    )  # fmt: skip


def _preview(
    recipe: TranslationRecipe, sides: Mapping[str, Any], teller: Teller, device: str
) -> Preview | DrawnPreview:
    """What shows how far the networks are."""
    look = sides.get("a") or sides["pair_a"]
    if not recipe.published.synthesizes:
        return Preview(recipe, look, Domain.from_json(_target(sides)))
    return DrawnPreview(Domain.from_json(look), teller.recipe, device)


def _target(sides: Mapping[str, Any]) -> Any:
    """Images as the model should make them; of images alone these."""
    return sides.get("b") or sides.get("pair_b") or sides["a"]


def described(side: Side, sources: list[Raster]) -> dict[str, Any]:
    """A domain as `Domain.from_json` takes it, with layers in place of their numbers."""
    values: dict[str, Any] = {
        "images": [sources[i] if isinstance(i, int) else i for i in side.images]
    }
    if side.channels is not None:
        values["channels"] = list(side.channels)
    if side.mask is not None:
        values["mask"] = [sources[side.mask]]
    kind = side.values
    if kind == "auto":
        dtypes = {p.inputs.dtype for p in Domain.from_json(values).pictures}
        kind = "dtype" if {d.itemsize for d in dtypes} == {1} else "percentile"
    return {**values, "normalisation": dict(NORMALISATIONS[kind])}


def as_images(sides: Mapping[str, Any]) -> dict[str, Any]:
    """Sides as `open_material` takes them."""
    found = {name: sides[name] for name in ("a", "b") if name in sides}
    if "pair_a" in sides:
        found["pairs"] = {"a": sides["pair_a"], "b": sides["pair_b"]}
    return found


def _json_of(side: Mapping[str, Any]) -> dict[str, Any]:
    files = all(isinstance(image, str) for image in side["images"])
    kept = ("images", "channels", "normalisation") if files else ("channels", "normalisation")
    return {name: side[name] for name in kept if name in side}
