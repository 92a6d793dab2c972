"""Semantic synthesis: an image of a label map, of any size, on the same grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from napari_tincture.call import Call
from napari_tincture.errors import InputError
from napari_tincture.io.provenance import described
from napari_tincture.models import Model
from napari_tincture.models.card import ModelCard
from napari_tincture.models.class_table import ClassTable
from napari_tincture.models.denoising import USUAL
from napari_tincture.raster import Raster
from napari_tincture.tasks._answers import result_dtype
from napari_tincture.tasks._artist import Drawer, How, check_memory
from napari_tincture.tasks._at_once import at_once
from napari_tincture.tasks._label_map import open_label_map
from napari_tincture.tasks._label_source import LabelSource
from napari_tincture.tasks._look import Look
from napari_tincture.tasks._record import record
from napari_tincture.tasks._region import as_region
from napari_tincture.tasks._run import as_model, check_pixel_size
from napari_tincture.tasks._scene import Scene
from napari_tincture.tasks._styles import chosen_style, image_start, in_style


def synthesize(
    labels: Any,
    model: str | Model | Any,
    *,
    sampler: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    guidance: float | None = None,
    style: Any = None,
    style_strength: float = 0.5,
    classes: Mapping[Any, Any] | None = None,
    instances: Any = None,
    sampler_options: Mapping[str, Any] | None = None,
    region: Any = None,
    device: str = "auto",
    precision: str = "auto",
    dtype: str = "auto",
    pixel_size: Literal["refuse", "ignore"] = "refuse",
) -> Raster:
    """Make an image of a label map; nothing is computed until the result is read.

    A map larger than the model's window is drawn in overlapping windows that agree at every step
    (Bar-Tal et al., MultiDiffusion, ICML 2023), where the model's card says so after a smaller
    drawing of the whole, so that it is one coherent image. The noise belongs to places: the same
    seed gives the same image, whatever it is computed in.

    Parameters
    ----------
    labels
        (t, z, y, x), integers, as `open_image` accepts them: what each pixel of the image shows.
        Planes along t and z are drawn one by one.
    model
        A name of `list_models`, a path, or a `Model`.
    sampler
        "ddim", "ddpm", "dpm_solver", "dpm_solver_sde", "euler" or "heun". None: what the model's
        card says of sampler, steps and guidance, or 40 steps of "ddim" without guidance.
    steps
        From 1 to as many as the model was trained with; fewer are faster and coarser.
    seed
        From 0 to 2⁶⁴ - 1; another seed gives another image of the same map.
    guidance
        How far the image is led from what an empty map gives to what the map says, for models that
        were trained with empty maps; 1: not at all, and twice as fast (Ho and Salimans 2022).
    style
        The number or name of one of the model's styles, 0 for none; or an image of any size whose
        colours and textures the result takes. SPADE's encoder reads the style of an image; other
        models start from it, brought evenly to cover the map. None: a style drawn from `seed` where
        the model has such, so that the same seed gives the same image and another seed another.
    style_strength
        How much of a style's image is left where the result starts from it, above 0 and below 1.
    classes
        Value of the label map → name or value of one of the model's classes, or None for no
        class; for maps with other values than the model's.
    instances
        Of models that are told the edges of objects: a label map with a number per object. None:
        the edges are those of `labels`.
    sampler_options
        Further arguments of the sampler, such as ``{"eta": 1.0}`` of "ddim" or ``{"order": 3}`` of
        "dpm_solver".
    region
        Part of the map in pixels, as in `stain`, which is drawn as if it were all there is.
    device, precision
        As in `stain`.
    dtype
        "auto": uint8. "float32": the network's values in the card's range. Integers: that range
        scaled to the type's.
    pixel_size
        "refuse" maps whose pixel size differs by more than 10 % from the model's, or "ignore".

    Returns
    -------
    Raster
        (t, c, z, y, x) as far as there are t and z and more than one channel; placement and units
        are the map's. It can be changed in places with `repaint`.

    Raises
    ------
    InputError
        If the map has values that are no class of the model (when it is computed), or an argument
        cannot be right.
    ModelError
        If the model is unknown or damaged.
    DeviceError
        If the device or precision is not available.
    """
    found = as_model(model, "synthesize")
    given = open_label_map(labels)
    settings = {
        "sampler": sampler, "steps": steps, "seed": seed, "guidance": guidance, "style": style,
        "style_strength": style_strength, "classes": classes, "instances": instances,
        "sampler_options": sampler_options, "region": region, "device": device,
        "precision": precision, "dtype": dtype, "pixel_size": pixel_size,
    }  # fmt: skip
    settings |= _asked(found.card, settings)
    chosen = chosen_style(found, style)
    source = _source(given, found, settings)
    check_pixel_size(source.labels, found, pixel_size)
    kept = {**settings, **_named(settings, chosen)}
    if found.card.denoising is None:
        provenance, _ = record("synthesize", given, found, kept)
        styled = in_style(found, chosen, seed)
        result = at_once(source, styled, settings, result_kind(dtype, found.card))
        call = Call("synthesize", given, found, settings)
        return replace(result, provenance=provenance, call=call)
    how = _how(found, settings, chosen)
    check_memory(found, source, how)
    provenance, sources = record("synthesize", given, found, kept)
    scene = Scene(Drawer(found, source, how), look_of(source, found, dtype), sources)
    call = Call("synthesize", given, found, settings)
    return as_result(scene, source.labels, found, provenance, call)


def look_of(source: LabelSource, model: Model, dtype: str) -> Look:
    """What the result looks like."""
    card = model.card
    several = card.rgb_output or len(card.outputs) > 1
    counts = source.labels.shape[:-2]
    channels, kind = len(card.outputs) if several else None, result_kind(dtype, card)
    return Look(source.leading, counts, source.shape, channels, kind, card.output_range)


def result_kind(dtype: str, card: ModelCard) -> np.dtype[Any]:
    """Data type of a synthetic image, whose values have no unit."""
    return np.dtype("uint8") if dtype == "auto" else result_dtype(dtype, card.rgb_output)


def as_result(
    scene: Scene, labels: Raster, model: Model, provenance: Mapping[str, Any], call: Call | None
) -> Raster:
    """Drawn planes as a raster in the place of the label map."""
    card, look = model.card, scene.look
    name = f"{labels.name} {card.name}".strip()
    placement, order = labels.placement, labels.order
    if "c" in look.axes:
        placement = placement.insert(look.axes.index("c"), "c", "pixel")
        order = order + "c" if card.rgb_output else "c" + order
    limits = [0.0, float(np.iinfo(look.dtype).max)] if look.dtype.kind == "u" else [*look.limits]
    display = {
        "colours": [channel.colour for channel in card.outputs],
        "limits": [limits] * len(card.outputs),
    }
    return Raster(
        levels=(scene.lazily(name.replace(" ", "-")),),
        axes=look.axes,
        placement=placement,
        name=name,
        rgb=card.rgb_output,
        channels=() if card.rgb_output else tuple(channel.name for channel in card.outputs),
        display={} if card.rgb_output else display,
        provenance=provenance,
        order=order,
        runner=scene,
        call=call,
    )


def _source(given: Raster, model: Model, settings: Mapping[str, Any]) -> LabelSource:
    """The part of the label map that is drawn."""
    region = as_region(settings["region"], given)
    objects = None
    if settings["instances"] is not None:
        whole = open_label_map(settings["instances"])
        if whole.shape != given.shape:
            raise InputError(
                f"The instances {whole.name!r} have shape {whole.shape}, the label map "
                f"{given.name!r} has {given.shape}; expected the same."
            )
        objects = _part(whole, region)
    table = ClassTable.of(model.card, settings["classes"])
    return LabelSource(_part(given, region), table, objects, region, given.shape)


def _part(labels: Raster, region: Mapping[str, tuple[int, int]]) -> Raster:
    bounds = {axis: slice(*edges) for axis, edges in region.items()}
    return labels.crop(bounds) if bounds else labels


def _asked(card: ModelCard, settings: Mapping[str, Any]) -> dict[str, Any]:
    """How it is drawn, as the model draws best where nothing is said."""
    usual = dict(USUAL)
    if card.denoising is not None:
        usual = card.denoising.asked(settings["sampler"])
    return {n: usual[n] if settings[n] is None else settings[n] for n in usual}


def _how(model: Model, settings: Mapping[str, Any], chosen: int | Raster | None) -> How:
    strength, guidance = (_number(settings, name) for name in ("style_strength", "guidance"))
    number, start, image = None, None, None
    if isinstance(chosen, Raster):
        start, image = image_start(model, chosen, strength), (chosen, strength)
    elif chosen is not None:
        number = torch.tensor([chosen])
    return How(
        settings["sampler"], settings["steps"], settings["seed"], guidance,
        dict(settings["sampler_options"] or {}), settings["device"], settings["precision"],
        number, start, image,
    )  # fmt: skip


def _number(settings: Mapping[str, Any], name: str) -> float:
    try:
        return float(settings[name])
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}={settings[name]!r}: expected a number.") from error


def _named(settings: Mapping[str, Any], chosen: int | Raster | None) -> dict[str, Any]:
    """Images among the settings by what tells them apart, for the provenance."""
    named: dict[str, Any] = {}
    if isinstance(chosen, Raster):
        named["style"] = described(chosen)
    if settings["instances"] is not None:
        named["instances"] = described(open_label_map(settings["instances"]))
    if settings["classes"] is not None:
        named["classes"] = {str(k): v for k, v in settings["classes"].items()}
    return named
