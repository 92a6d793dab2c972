"""A model on what is on screen, as a job; or the reason why there can be none. No Qt."""

from __future__ import annotations

from typing import Any

from napari.layers import Image, Labels

from napari_tincture.errors import InputError
from napari_tincture.models.card import ModelCard
from napari_tincture.widgets._inputs import guess, origins
from napari_tincture.widgets._layers import active_layer, layer_names, source_names
from napari_tincture.widgets._plan import Choices, Plan, make_plan, open_layer
from napari_tincture.widgets._synthesis_plan import plan_synthesis


def plan_trial(viewer: Any, model: str, card: ModelCard, **changes: Any) -> Plan:
    """Check all that can be known before, with no more than the viewer shows.

    The active layer is taken, or else the topmost that can be one; the model's inputs are what
    their names suggest. Pixels may be of another size than the model's: a note says so.

    Parameters
    ----------
    **changes
        Of `Choices`.

    Raises
    ------
    TinctureError
        Saying what is missing or does not fit, and what to do.
    """
    draws = card.task == "synthesize"
    layer = _layer(viewer, card.task, Labels if draws else Image)
    usual: dict[str, Any] = {
        "task": card.task, "model": model, "layer": layer, "region": "viewport", "planes": "shown",
        "any_pixel_size": True, "options": _options(card),
    }  # fmt: skip
    if draws:
        return plan_synthesis(viewer, Choices(**{**usual, **changes}), card)
    rasters = {layer: open_layer(viewer, layer, {})}
    for name in layer_names(viewer, Image):
        try:
            rasters[name] = open_layer(viewer, name, {})
        except InputError:
            continue  # its axes are not known; it is not asked for
    inputs = [channel.name for channel in card.image_inputs]
    usual["origins"] = tuple(guess(inputs, origins(rasters, layer), layer))
    return make_plan(viewer, Choices(**{**usual, **changes}), card)


def _layer(viewer: Any, task: str, kind: type[Any]) -> str:
    what = "a label map" if kind is Labels else "an image"
    names = [active_layer(viewer, task, kind), *source_names(viewer, task, kind)]
    found = next(filter(None, names), "")
    if not found:
        raise InputError(f"Open {what} to try the model on, for example of File › Open Sample.")
    return found


def _options(card: ModelCard) -> dict[str, Any]:
    if card.task != "segment":
        return {}
    return {"output": "classes" if card.instances is None else "labels"}
