"""A live result in a viewer: layers that fill in where someone looks.

1. Camera, sliders, layers and arriving tiles mark a view as outdated, from any thread.
2. At most once per frame, on the GUI thread, it tells the pyramid what is on screen and shows what
   has arrived; a few times per second, it says how far it is.
3. When its last layer is removed or the window closed, all that computes for it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer, Signal  # type: ignore[attr-defined]

from napari_tincture import axes as ax
from napari_tincture.errors import InputError
from napari_tincture.layers import METADATA, to_layer
from napari_tincture.raster import Raster
from napari_tincture.tiling.backend import LiveStatus
from napari_tincture.tiling.levels import LiveLevel
from napari_tincture.tiling.live import LivePyramid
from napari_tincture.tiling.live_layout import Plane
from napari_tincture.tiling.mosaic import Bounds
from napari_tincture.widgets._legend import Legend
from napari_tincture.widgets._regions import shown_planes, viewport

FRAME = 16
"""Milliseconds between two refreshes, at least."""
TEXT = 250
"""Milliseconds between two changes of the legend: each has the whole window drawn again."""
GiveBehind = Callable[[int | None], Any]

_VIEWS: list[LiveView] = []


class LiveView(QObject):
    """The layers of one live result in one viewer; lives on the GUI thread.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the layers.
    pyramid
        The result. Its `notify` must call `hear`.
    shown
        What the whole result would be: axes, placement, names; its pixels are never read.
    behind
        Gives, for a channel (None: all), what `open_image` makes of its layer.
    on_close
        Called once the layers are gone.
    """

    changed = Signal()
    """The status has changed, on the GUI thread; a few times per second."""
    closed = Signal()
    _heard = Signal()

    def __init__(
        self,
        viewer: Any,
        pyramid: LivePyramid,
        shown: Raster,
        behind: GiveBehind,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.viewer, self.pyramid, self.shown = viewer, pyramid, shown
        self._on_close = on_close
        self._lock = threading.Lock()
        self._told = self._open = False
        self._moved = True
        self._changes = -1
        self._emitters: list[tuple[Any, Callable[..., None]]] = []
        self._frame = QTimer(self)
        self._frame.setSingleShot(True)
        self._frame.setInterval(FRAME)
        self._frame.timeout.connect(self._show)
        self._telling = QTimer(self)
        self._telling.setSingleShot(True)
        self._telling.setInterval(TEXT)
        self._telling.timeout.connect(self._tell)
        self._heard.connect(self._on_heard, Qt.ConnectionType.QueuedConnection)
        self.layers = [self._add(part, channel, behind) for part, channel in _parts(shown)]
        self._letters = _own_letters(self.layers[0])
        self._legend = Legend(viewer.window._qt_window.centralWidget())
        self._open = True
        self._listen()
        _VIEWS.append(self)
        self._frame.start()

    @property
    def status(self) -> LiveStatus:
        """How far it is."""
        return self.pyramid.status

    def hear(self) -> None:
        """Take news of the pyramid, in any thread."""
        with self._lock:
            told, self._told = self._told, True
        if not told:
            with suppress(RuntimeError):  # the Qt object may be gone at the end of the program
                self._heard.emit()

    def finish(self, wanted: bool = True) -> None:
        """Compute the rest in the background, too; or no longer."""
        self.pyramid.finish(wanted)

    def close(self, *_: Any) -> None:
        """Compute nothing any more; the layers stay as they are."""
        if not self._open:
            return
        self._open = False
        self._frame.stop()
        self._telling.stop()
        for emitter, callback in self._emitters:
            emitter.disconnect(callback)
        self._emitters = []
        with suppress(RuntimeError):  # the window may be gone, and the legend with it
            self._legend.end()
        self.pyramid.close()
        _VIEWS.remove(self)
        self._on_close()
        self.closed.emit()

    def _add(self, part: Raster, channel: int | None, behind: GiveBehind) -> Any:
        _, options, kind = to_layer(part)
        axes = options["metadata"][METADATA]["axes"]
        options["metadata"][METADATA] |= {"data": None, "source": None}
        mosaic = self.pyramid.mosaic
        index = None if part.rgb else channel or 0
        source = behind(channel)
        last = len(mosaic.shapes) - 1
        levels: list[Any] = [
            LiveLevel(mosaic, level, axes, index, behind=source) for level in range(last + 1)
        ]
        if mosaic.lowest is not None:
            levels[last] = _lowest(mosaic.lowest, index, axes)
        if channel:  # of the channel before, which covers the source as a single result does
            options["blending"] = "additive"
        options["multiscale"] = True
        return getattr(self.viewer, f"add_{kind}")(levels, **options)

    def _listen(self) -> None:
        viewer = self.viewer
        scene = getattr(viewer, "scene", viewer)
        dims, camera = viewer.dims.events, scene.camera.events
        for emitter in (
            camera.zoom, camera.center, camera.angles, dims.current_step, dims.ndisplay, dims.order,
            *(event for layer in self.layers for event in _layer_events(layer)),
        ):  # fmt: skip
            self._connect(emitter, self._on_move)
        self._connect(viewer.layers.events.removed, self._on_removed)
        viewer.window._qt_window.destroyed.connect(self.close)

    def _connect(self, emitter: Any, callback: Callable[..., None]) -> None:
        emitter.connect(callback)
        self._emitters.append((emitter, callback))

    def _on_move(self, *_: Any) -> None:
        self._moved = True
        self._schedule()

    def _on_removed(self, *_: Any) -> None:
        if not any(layer in self.viewer.layers for layer in self.layers):
            self.close()

    def _on_heard(self) -> None:
        with self._lock:
            self._told = False
        self._schedule()

    def _schedule(self) -> None:
        if self._open and not self._frame.isActive():
            self._frame.start()

    def _show(self) -> None:
        """Once per frame: look and refresh."""
        if self._moved:
            self._moved = False
            self._look()
        changes = self.pyramid.changes
        status = self.status
        if changes != self._changes:
            self._changes = changes
            for layer in self._visible():
                # A thumbnail costs more than what is on screen; the last tile brings it.
                layer.refresh(thumbnail=not status.queued, highlight=False, extent=False)
        if not self._telling.isActive():
            self._telling.start()

    def _tell(self) -> None:
        self._legend.show_status(self.status if self._visible() else None)
        self.changed.emit()

    def _visible(self) -> list[Any]:
        return [layer for layer in self.layers if layer.visible and layer in self.viewer.layers]

    def _look(self) -> None:
        found = None
        if layers := self._visible():
            found = self._on_screen(layers[0])
        if found is None:
            self.pyramid.look_away()
        else:
            self.pyramid.look(*found, layers[0].data_level)

    def _on_screen(self, layer: Any) -> tuple[Plane, Bounds] | None:
        """The plane and its part on screen; None if there is none."""
        letters = self._letters
        displayed = {letters[axis] for axis in layer._slice_input.displayed}
        if displayed != {"y", "x"}:
            return None
        try:
            planes = shown_planes(self.viewer, layer, letters)
            try:
                box = viewport(self.viewer, layer, letters)
            except InputError:
                if not _in_grid(self.viewer):
                    return None
                box = _corners(layer, letters)
        except InputError:
            return None
        plane = tuple(planes[axis][0] for axis in self.pyramid.layout.leading)
        return plane, (box["y"], box["x"])


def view_of(layer: Any) -> LiveView | None:
    """Give the live view that a layer belongs to, while it is open."""
    return next((view for view in _VIEWS if any(own is layer for own in view.layers)), None)


def close_views(viewer: Any) -> None:
    """Close all live views of a viewer, whose window is closing."""
    for view in tuple(_VIEWS):
        if view.viewer is viewer:
            view.close()


def _parts(shown: Raster) -> list[tuple[Raster, int | None]]:
    """One image per layer, with the channel that it shows."""
    if "c" not in shown.axes or shown.rgb:
        return [(shown, None)]
    names = shown.channels or tuple(map(str, range(shown.sizes["c"])))
    return [
        (replace(shown.plane(c=i), name=f"{shown.name} {name}".strip()), i)
        for i, name in enumerate(names)
    ]


def _lowest(array: np.ndarray, channel: int | None, axes: str) -> np.ndarray:
    """The last level as napari holds it: a view of what is filled in place."""
    values = array if channel is None else array[channel]
    own = "cyx" if channel is None else "yx"
    return values.transpose(ax.permutation(own, axes))


def _own_letters(layer: Any) -> str:
    axes = str(layer.metadata[METADATA]["axes"])
    return axes.replace("c", "") if getattr(layer, "rgb", False) else axes


def _layer_events(layer: Any) -> list[Any]:
    names = ("visible", "set_data", "scale", "translate", "rotate", "shear", "affine", "units")
    return [getattr(layer.events, name) for name in names if hasattr(layer.events, name)]


def _in_grid(viewer: Any) -> bool:
    return bool(getattr(viewer, "canvas", viewer).grid.enabled)


def _corners(layer: Any, letters: str) -> dict[str, tuple[int, int]]:
    """What napari drew last, where the screen shows several layers side by side."""
    factors = layer.downsample_factors[layer.data_level]
    low, high = layer.corner_pixels * factors
    return {axis: (int(low[i]), int(high[i]) + 1) for i, axis in enumerate(letters) if axis in "yx"}
