"""The row of a label map: a button for a new one, and the palette to paint it with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QPushButton, QSpinBox, QVBoxLayout, QWidget

from napari_tincture.models.card import Channel
from napari_tincture.widgets._form import Choice, row
from napari_tincture.widgets._number_keys import NumberKeys
from napari_tincture.widgets._palette import Palette
from napari_tincture.widgets._teach_layer import BRUSH, OTHER, select

USUAL_SIDE = 512
PLAIN = {"gray": "#808080", "grey": "#808080"}


class LabelMapRow(QWidget):
    """Makes label maps and shows their classes, by name in the status bar too.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets new maps.
    layer
        The panel's choice of the map.
    """

    changed = Signal()

    def __init__(self, viewer: Any, layer: Choice) -> None:
        super().__init__()
        self._viewer, self._layer = viewer, layer
        self._classes: dict[int, Channel] = {}
        self.palette_ = Palette()
        self.new_button, self.height_, self.width_ = QPushButton("New map"), QSpinBox(), QSpinBox()
        self.new_button.setToolTip("An empty map of this height and width, to be painted")
        for box, side in ((self.height_, "Height"), (self.width_, "Width")):
            box.setRange(16, 65_536)
            box.setValue(USUAL_SIDE)
            box.setToolTip(f"{side} of a new map in pixels")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.palette_)
        layout.addWidget(row([self.new_button, self.height_, self.width_]))
        self.keys = NumberKeys(viewer, self._choose_place)
        self.destroyed.connect(self.keys.release)
        self.new_button.clicked.connect(lambda _: self.make())
        self.palette_.chosen.connect(self.paint)

    def offer(self, classes: Mapping[int, Channel]) -> None:
        """Show the classes of the chosen model."""
        self._classes = dict(classes)
        self.palette_.offer(classes)
        self.new_button.setEnabled(bool(classes))
        layer = self._map()
        self.palette_.show_chosen(None if layer is None else int(layer.selected_label))
        if layer is not None and classes:
            self.keys.bind([layer])
        else:
            self.keys.release()

    def make(self) -> Labels:
        """Add an empty map of the first class, and let it be painted."""
        values = list(self._classes)
        shape = (self.height_.value(), self.width_.value())
        dtype = np.min_scalar_type(max(values, default=0))
        layer = self._viewer.add_labels(np.full(shape, values[0], dtype), name="label map")
        layer.brush_size = BRUSH
        self._layer.set_items([*self._layer._items()])
        self.paint(values[1] if len(values) > 1 else values[0])
        self.changed.emit()
        return layer

    def paint(self, value: int) -> None:
        """Let a class be painted on the map, which shows itself in the classes' colours."""
        layer = self._map() or self._viewer.layers.selection.active
        if not isinstance(layer, Labels) or value not in self._classes:
            return
        dress(layer, self._classes)
        select(self._viewer, layer, value)
        self.palette_.show_chosen(value)
        self.keys.bind([layer])

    def dress(self) -> None:
        """Show the chosen map in the classes' colours, unless somebody has given it others."""
        layer = self._map()
        if isinstance(layer, Labels) and isinstance(layer.colormap, CyclicLabelColormap):
            dress(layer, self._classes)

    def _choose_place(self, place: int) -> None:
        values = list(self._classes)
        if place < len(values):
            self.paint(values[place])

    def _map(self) -> Any:
        name = self._layer.value
        return self._viewer.layers[name] if name and name in self._viewer.layers else None


def dress(layer: Labels, classes: Mapping[int, Channel]) -> None:
    """Show a map in the classes' colours, and their names in the status bar."""
    known: dict[Any, str] = {None: OTHER, 0: "transparent"}
    colours = {v: PLAIN.get(c.colour, c.colour) for v, c in classes.items()}
    layer.colormap = DirectLabelColormap(color_dict=known | colours)
    names = [channel.name for channel in classes.values()]
    own = pd.DataFrame({"index": list(classes), "class": names})
    if set(layer.features.columns) <= set(own.columns):
        layer.features = own
