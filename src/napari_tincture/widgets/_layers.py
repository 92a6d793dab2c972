"""Which layers a panel can work on, and hearing when that changes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

from napari.layers import Image, Shapes  # type: ignore[import-untyped]

from napari_tincture.layers import METADATA

_OF_LAYER = (
    "name", "data", "set_data", "scale", "translate", "rotate", "shear", "affine", "units",
    "axis_labels", "highlight",
)  # fmt: skip


def image_names(viewer: Any) -> list[str]:
    """Names of the image layers, the topmost first."""
    return [layer.name for layer in reversed(viewer.layers) if isinstance(layer, Image)]


def shapes_names(viewer: Any) -> list[str]:
    """Names of the Shapes layers, the topmost first."""
    return [layer.name for layer in reversed(viewer.layers) if isinstance(layer, Shapes)]


def active_image(viewer: Any, task: str) -> str:
    """Name of the active layer if it is an image, else empty.

    A result of `task` itself does not count: napari makes each new layer the active one, and the
    next run is rarely meant for what the last one gave.
    """
    layer = viewer.layers.selection.active
    own = isinstance(layer, Image) and _last_step(layer) == task
    return str(layer.name) if isinstance(layer, Image) and not own else ""


def _last_step(layer: Any) -> str:
    steps = layer.metadata.get(METADATA, {}).get("provenance", {}).get("steps", ())
    return str(steps[-1].get("step", "")) if steps else ""


def possible_axes(layer: Any) -> list[str]:
    """List what the axes of a layer may be, the likeliest first."""
    letters = "zt" if layer.rgb else "ztc"
    count = min(layer.ndim - 2, len(letters))
    return ["".join(leading) + "yx" for leading in permutations(letters, count)]


class LayerWatch:
    """Calls back when layers, the view or the active layer change; until `close`."""

    def __init__(
        self, viewer: Any, on_change: Callable[..., None], on_active: Callable[..., None]
    ) -> None:
        self._on_change = on_change
        camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        self._emitters: list[tuple[Any, Callable[..., None]]] = [
            (viewer.layers.selection.events.active, on_active),
            (viewer.layers.events.inserted, self._on_inserted),
            (viewer.layers.events.removed, on_change),
            (viewer.layers.events.reordered, on_change),
            (viewer.dims.events.current_step, on_change),
            (viewer.dims.events.ndisplay, on_change),
            (viewer.dims.events.order, on_change),
            (camera.events.zoom, on_change),
            (camera.events.center, on_change),
        ]
        for layer in viewer.layers:
            self._emitters += self._of_layer(layer)
        for emitter, callback in self._emitters:
            emitter.connect(callback)

    def close(self) -> None:
        """Hear nothing any more."""
        for emitter, callback in self._emitters:
            emitter.disconnect(callback)
        self._emitters = []

    def _on_inserted(self, event: Any) -> None:
        for emitter, callback in self._of_layer(event.value):
            emitter.connect(callback)
            self._emitters.append((emitter, callback))
        self._on_change()

    def _of_layer(self, layer: Any) -> list[tuple[Any, Callable[..., None]]]:
        emitters = [getattr(layer.events, name, None) for name in _OF_LAYER]
        return [(emitter, self._on_change) for emitter in emitters if emitter is not None]
