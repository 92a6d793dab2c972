"""Which layers a panel can work on, and hearing when that changes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

from napari.layers import Image, Labels, Shapes

from napari_tincture.layers import METADATA

_OF_LAYER = (
    "name", "data", "set_data", "scale", "translate", "rotate", "shear", "affine", "units",
    "axis_labels", "highlight",
)  # fmt: skip


def image_names(viewer: Any) -> list[str]:
    """Names of the image layers, the topmost first."""
    return layer_names(viewer, Image)


def layer_names(viewer: Any, kind: type[Any]) -> list[str]:
    """Names of the layers of a kind, the topmost first."""
    return [layer.name for layer in reversed(viewer.layers) if isinstance(layer, kind)]


def shapes_names(viewer: Any) -> list[str]:
    """Names of the Shapes layers, the topmost first."""
    return layer_names(viewer, Shapes)


def active_layer(viewer: Any, task: str, kind: type[Any] = Image) -> str:
    """Name of the active layer if it is of a kind, else empty.

    A result of `task` itself does not count: napari makes each new layer the active one, and the
    next run is rarely meant for what the last one gave.
    """
    layer = viewer.layers.selection.active
    return str(layer.name) if _is_source(layer, task, kind) else ""


def source_names(viewer: Any, task: str, kind: type[Any] = Image) -> list[str]:
    """Names of the layers of a kind that are no results of `task`, the topmost first."""
    return [layer.name for layer in reversed(viewer.layers) if _is_source(layer, task, kind)]


def _is_source(layer: Any, task: str, kind: type[Any]) -> bool:
    return isinstance(layer, kind) and _last_step(layer) != task


def _last_step(layer: Any) -> str:
    steps = layer.metadata.get(METADATA, {}).get("provenance", {}).get("steps", ())
    return str(steps[-1].get("step", "")) if steps else ""


def possible_axes(layer: Any) -> list[str]:
    """List what the axes of a layer may be, the likeliest first."""
    letters = "zt" if getattr(layer, "rgb", isinstance(layer, Labels)) else "ztc"
    count = min(layer.ndim - 2, len(letters))
    return ["".join(leading) + "yx" for leading in permutations(letters, count)]


class LayerWatch:
    """Calls back when layers, the active one or the view change, between `start` and `stop`.

    Parameters
    ----------
    viewer : napari.Viewer
        What is watched.
    on_change, on_active, on_view
        Called without arguments: when layers change, when another one becomes active, and when
        another part of them is shown.
    """

    def __init__(
        self,
        viewer: Any,
        on_change: Callable[[], Any],
        on_active: Callable[[], Any],
        on_view: Callable[[], Any],
    ) -> None:
        self._viewer = viewer
        self._on_change, self._on_active, self._on_view = on_change, on_active, on_view
        self._emitters: list[tuple[Any, Callable[..., None]]] = []

    def start(self) -> None:
        """Begin to watch; once is enough."""
        if self._emitters:
            return
        layers, dims = self._viewer.layers, self._viewer.dims
        scene = self._viewer.scene if hasattr(self._viewer, "scene") else self._viewer
        self._hear(layers.selection.events.active, self._tell_active)
        self._hear(layers.events.inserted, self._tell_inserted)
        for emitter in (layers.events.removed, layers.events.reordered):
            self._hear(emitter, self._tell)
        for emitter in (
            dims.events.current_step, dims.events.ndisplay, dims.events.order,
            scene.camera.events.zoom, scene.camera.events.center,
        ):  # fmt: skip
            self._hear(emitter, self._tell_view)
        for layer in layers:
            self._hear_layer(layer)

    def stop(self) -> None:
        """Hear nothing any more, and let go of whom it told."""
        for emitter, callback in self._emitters:
            emitter.disconnect(callback)
        self._emitters = []

    def _hear(self, emitter: Any, callback: Callable[..., None]) -> None:
        emitter.connect(callback)
        self._emitters.append((emitter, callback))

    def _hear_layer(self, layer: Any) -> None:
        for name in _OF_LAYER:
            if (emitter := getattr(layer.events, name, None)) is not None:
                self._hear(emitter, self._tell)

    def _tell(self, *_: Any) -> None:
        self._on_change()

    def _tell_active(self, *_: Any) -> None:
        self._on_active()

    def _tell_view(self, *_: Any) -> None:
        self._on_view()

    def _tell_inserted(self, event: Any) -> None:
        self._hear_layer(event.value)
        self._on_change()
