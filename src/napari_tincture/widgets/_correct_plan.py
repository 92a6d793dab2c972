"""From a stained layer to what is stored of it: which image, which model; no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_tincture.errors import InputError
from napari_tincture.layers import METADATA
from napari_tincture.models.shipped import find_card
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tasks.correct import beside, correct
from napari_tincture.widgets._layers import image_names
from napari_tincture.widgets._plan import open_layer


@dataclass(frozen=True)
class Correction:
    """A call of `correct`."""

    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, progress: Progress, cancel: CancelToken) -> str:
        """Store it; gives what the data set then holds, in words."""
        del progress
        cancel.check()
        data = correct(self.model, **self.arguments)
        return f"{data.folder.name} now holds {data.described}."


def stain_step(layer: Any) -> Mapping[str, Any]:
    """How a layer was stained; empty if it was not."""
    steps = layer.metadata.get(METADATA, {}).get("provenance", {}).get("steps", ())
    step: Mapping[str, Any] = steps[-1] if steps else {}
    return step if step.get("step") == "stain" else {}


def stained_names(viewer: Any) -> list[str]:
    """Names of the stained layers, the topmost first."""
    return [name for name in image_names(viewer) if stain_step(viewer.layers[name])]


def model_of(layer: Any) -> str:
    """Name or path of the model that stained a layer."""
    step = stain_step(layer)
    return str(step.get("model_file") or step.get("model") or "")


def image_of(viewer: Any, layer: Any) -> str:
    """Name of the layer that was stained, if it is still there."""
    name = str(stain_step(layer).get("image", ""))
    return name if name in image_names(viewer) else ""


def folder_of(model: str) -> str:
    """Where corrections of a model are kept unless another folder is chosen; "" if nowhere."""
    try:
        return str(beside(model))
    except (InputError, ValueError):
        return ""


def make_correction(
    viewer: Any, stained: str, image: str, marks: Any, reference: str, folder: str, weight: float
) -> Correction:
    """Check what is chosen.

    Raises
    ------
    TinctureError
        Saying what is missing or does not fit.
    """
    if not stained:
        raise InputError("Stain an image first; then say here where the stain is right or wrong.")
    if not image:
        raise InputError("Choose the layer that was stained.")
    if marks is None and not reference:
        raise InputError("Paint what is right or wrong, or choose the chemical stain.")
    if not folder:
        raise InputError("Choose a folder for the corrections; this model lies in none of yours.")
    layer = viewer.layers[stained]
    model = model_of(layer)
    return Correction(
        model,
        {
            "image": open_layer(viewer, image, {}),
            "stain": _whole_stain(viewer, layer, model),
            "marks": None if marks is None else _marks(marks),
            "reference": open_layer(viewer, reference, {}) if reference else None,
            "folder": Path(folder).expanduser(),
            "weight": weight,
            "channels": _channels(stain_step(layer)),
        },
    )


def _marks(layer: Any) -> Raster:
    from napari_tincture.io.open import open_image

    return open_image(layer)


def _whole_stain(viewer: Any, layer: Any, model: str) -> Any:
    """The stain with all its channels, each of which may be a layer."""
    count = len(find_card(model).outputs)
    if count == 1 or layer.rgb:
        return open_layer(viewer, layer.name, {})
    step = stain_step(layer)
    members = [other.name for other in viewer.layers if _same(other, step)]
    if len(members) != count:
        raise InputError(
            f"The model makes {count} channels; {len(members)} of its layers are there. Stain "
            "again, with the image alone as output, and keep all of its layers."
        )
    return [open_layer(viewer, name, {}) for name in members]


def _same(layer: Any, step: Mapping[str, Any]) -> bool:
    return bool(stain_step(layer) == step)


def _channels(step: Mapping[str, Any]) -> Any:
    channels = step.get("settings", {}).get("channels")
    if channels is None:
        return None
    chosen = channels.values() if isinstance(channels, Mapping) else channels
    if any(isinstance(choice, Mapping) for choice in chosen):
        raise InputError(
            "This stain takes its channels from several layers; join them first "
            "(napari_tincture.open_image of a list), and stain the joined image."
        )
    if isinstance(channels, Mapping):
        return {name: _choice(choice) for name, choice in channels.items()}
    return [_choice(choice) for choice in channels]


def _choice(choice: Any) -> Any:
    return tuple(choice) if isinstance(choice, list) else choice
