"""The layer that a panel works on, and what its dimensions are where it does not say."""

from __future__ import annotations

from typing import Any

from napari.layers import Image, Labels
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_tincture.errors import InputError
from napari_tincture.raster import Raster
from napari_tincture.widgets._form import Choice, Item
from napari_tincture.widgets._layers import active_layer, layer_names, possible_axes
from napari_tincture.widgets._plan import open_layer


class ChosenLayer(QObject):
    """Two drop-downs: a layer of the viewer, which is followed when it is renamed, and its axes.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose image layers are offered.
    task
        Whose panel this is for.
    kind
        Of the layers to work on.
    """

    changed = Signal()

    def __init__(self, viewer: Any, task: str, kind: type[Any] = Image) -> None:
        super().__init__()
        self._viewer, self._task, self._kind = viewer, task, kind
        self._layer: Any = None
        what = "label map" if kind is Labels else "image"
        self.layer = Choice(tooltip=f"The {what} to work on")
        self.axes = Choice(tooltip="What the dimensions of the layer are; it does not say")
        self.known: dict[str, str] = {}
        """Axes that somebody chose, by the layer's name."""
        self.unsure = False
        """Whether the layer's axes have to be chosen."""
        self.layer.chosen.connect(self._on_layer)
        self.axes.chosen.connect(self._on_axes)

    @property
    def name(self) -> str:
        """Of the layer; empty if there is none."""
        return self.layer.value or ""

    def open(self) -> Raster:
        """Open the layer.

        Raises
        ------
        InputError
            If there is none, or its axes cannot be known.
        """
        return open_layer(self._viewer, self.name, self.known)

    def open_all(self) -> dict[str, Raster]:
        """Open all image layers whose axes are known, by name.

        Raises
        ------
        InputError
            If those of the chosen one are not.
        """
        rasters = {}
        for name in layer_names(self._viewer, self._kind):
            try:
                rasters[name] = open_layer(self._viewer, name, self.known)
            except InputError:
                if name == self.layer.value:
                    raise
        return rasters

    def offer_layers(self) -> None:
        """Show what layers there are."""
        chosen = self._layer
        self.layer.set_items([Item(name, name) for name in layer_names(self._viewer, self._kind)])
        if chosen is not None and chosen in self._viewer.layers:
            self.layer.value = chosen.name  # it may have been renamed
        self._on_layer()

    def offer_axes(self) -> None:
        """Show what the dimensions may be; see `unsure`."""
        self.unsure = False
        if not self.name:
            return
        layer = self._viewer.layers[self.name]
        try:
            open_layer(self._viewer, self.name, {})
        except InputError:
            self.unsure = layer.ndim > 2
        items = [Item("choose …", ""), *(Item(axes, axes) for axes in possible_axes(layer))]
        self.axes.blockSignals(True)
        self.axes.set_items(items)
        self.axes.value = self.known.get(self.name, "")
        self.axes.blockSignals(False)

    def choose(self, name: str) -> None:
        """Choose a layer by its name.

        Raises
        ------
        InputError
            If the viewer has no such layer of the kind.
        """
        if name not in layer_names(self._viewer, self._kind):
            raise InputError(f"There is no {self._kind.__name__} layer {name!r} to {self._task}.")
        self._layer = self._viewer.layers[name]
        self.offer_layers()

    def take_active(self) -> None:
        """Choose the viewer's active layer, if it is one to work on."""
        if name := active_layer(self._viewer, self._task, self._kind):
            self._layer = self._viewer.layers[name]
            self.offer_layers()
        self.changed.emit()

    def _on_layer(self) -> None:
        self._layer = self._viewer.layers[self.name] if self.name else None
        self.changed.emit()

    def _on_axes(self) -> None:
        if self.name:
            self.known[self.name] = self.axes.value or ""
        self.changed.emit()
