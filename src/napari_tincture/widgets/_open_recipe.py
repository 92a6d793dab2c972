"""From how a layer was made, or a saved recipe, to the panel that shows it, with its layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari.layers import Image, Labels

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.io.open import open_image
from napari_tincture.io.provenance import described, plain
from napari_tincture.layers import METADATA
from napari_tincture.raster import Raster
from napari_tincture.tasks.recipe import DATASET, Recipe, opened
from napari_tincture.widgets._background import in_panel
from napari_tincture.widgets._form import Level

OF_MAPS = ("synthesize", DATASET)
PANELS = {"stain": "Stain", "segment": "Segment", **dict.fromkeys(OF_MAPS, "Synthesize")}
"""Display names of the panels of tasks that recipes can be shown in."""
PLUGIN = "napari-tincture"


def open_panel(viewer: Any, name: str) -> Any:
    """Open a panel of this plugin, or raise the one that is open."""
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    return panel


def steps_of(layer: Any) -> list[dict[str, Any]]:
    """How a layer was made, first to last; empty if nothing is recorded."""
    own = layer.metadata.get(METADATA)
    provenance = own.get("provenance") if isinstance(own, Mapping) else None
    return [dict(step) for step in (provenance or {}).get("steps", ())]


def repeatable(layer: Any) -> dict[str, Any]:
    """The last step that made a layer, if a panel can do it again.

    Raises
    ------
    InputError
        If nothing is recorded, or its last step has no panel of its own.
    """
    steps = steps_of(layer)
    if not steps:
        raise InputError(f"Nothing is recorded of how {layer.name!r} was made.")
    if steps[-1].get("step") not in PANELS:
        raise InputError(
            f"{layer.name!r} was made by {steps[-1].get('step')!r}, which no panel does again as a "
            "whole. Its Python is under Recipe."
        )
    return steps[-1]


def layers_of_step(viewer: Any, step: Mapping[str, Any], first: str = "") -> list[str]:
    """Names of the layers that a step was done to; what is in a file is opened where it is missing.

    With `first` the first of them is that one.

    Raises
    ------
    InputError
        If one was in memory and is no longer in the viewer.
    """
    kind = Labels if step.get("step") == "synthesize" else Image
    main, *others = step["sources"]
    found = first or _layer_of(viewer, main, kind)
    return [found, *(_layer_of(viewer, each, Image) for each in others)]


def layers_of_recipe(viewer: Any, recipe: Recipe) -> list[str]:
    """Names of the layers that a recipe's images are; the first is the active one if it says none.

    Raises
    ------
    InputError
        If one cannot be opened, or was in memory.
    """
    found = []
    for number, source in enumerate(recipe.images or (None,)):
        kind = Labels if recipe.task in OF_MAPS and number == 0 else Image
        if source is None:
            active = viewer.layers.selection.active
            if number or not isinstance(active, kind):
                raise InputError(
                    f"Image {number + 1} of this recipe was in memory when it was written: select "
                    f"{'a Labels' if kind is Labels else 'an image'} layer, then open it again."
                )
            found.append(str(active.name))
        else:
            found.append(_layer_of(viewer, {"source": dict(source)}, kind))
    return found


def show(viewer: Any, recipe: Recipe, layers: Sequence[str]) -> Any:
    """Show a recipe in its panel, which is opened if it is not; give the panel.

    Raises
    ------
    TinctureError
        If no panel does it, or it does not fit.
    """
    _check_panel(recipe)
    panel = open_panel(viewer, PANELS[recipe.task])
    panel.show_recipe(recipe, layers)
    return panel


def _check_panel(recipe: Recipe) -> None:
    if recipe.task not in PANELS:
        raise InputError(
            f"No panel shows a recipe to {recipe.task}; run it: napari-tincture run RECIPE, or "
            "nt.run(recipe)."
        )


def show_opened(viewer: Any, tell: Callable[[Level, str], Any], recipe: Recipe) -> None:
    """Show a recipe that was opened in its panel, with its layers; or tell why not."""
    try:
        _check_panel(recipe)
        panel = show(viewer, recipe, layers_of_recipe(viewer, recipe))
    except TinctureError as error:
        tell(Level.PROBLEM, in_panel(error))
    else:
        panel.runner.status.show_text(Level.READY, "This is the recipe; press Run.")


def _layer_of(viewer: Any, source: Mapping[str, Any], kind: type[Any]) -> str:
    """The layer that a source is: of the same origin, else of the same name and shape."""
    ref = source.get("source")
    known = [
        (layer.name, described(raster))
        for layer in reversed(viewer.layers)
        if isinstance(layer, kind) and (raster := _raster(layer)) is not None
    ]
    if ref is not None:
        names = [name for name, own in known if _origin(own["source"]) == _origin(ref)]
        return str(names[0]) if names else _opened(viewer, ref, kind)
    same = [
        name
        for name, own in known
        if name == source.get("name") and own["shape"] == list(source["shape"])
    ]
    if not same:
        raise InputError(
            f"Layer {source.get('name')!r} that this was made of is no longer in the viewer. Open "
            "it again under its name, or apply the settings to another layer."
        )
    return str(same[0])


def _origin(ref: Mapping[str, Any] | None) -> Any:
    """Where pixels come from, whatever they are called and where they lie."""
    if ref is None:
        return None
    return plain({**ref, "steps": [step for step in ref["steps"] if step[0] != "describe"]})


def _opened(viewer: Any, ref: Mapping[str, Any], kind: type[Any]) -> str:
    (image,) = opened([ref], [])
    layer = image.add_to(viewer)
    if not isinstance(layer, kind):
        viewer.layers.remove(layer)
        layer = viewer.add_labels(image.to_layer()[0], name=image.name)
    return str(layer.name)


def _raster(layer: Any) -> Raster | None:
    try:
        return open_image(layer)
    except InputError:
        return None
