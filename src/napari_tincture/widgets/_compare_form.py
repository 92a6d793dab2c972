"""The settings of the Compare panel: what to compare with what, by which metrics, and where."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QSpinBox, QWidget

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.metrics.metric import Metric
from napari_tincture.tasks import _compare_labels
from napari_tincture.tasks.compare import METRICS, list_metrics
from napari_tincture.widgets._align_row import AlignRow
from napari_tincture.widgets._compare_plan import (
    KINDS,
    CompareChoices,
    barred,
    kind_of,
    offered_metrics,
)
from napari_tincture.widgets._fields import pixels_box
from napari_tincture.widgets._form import Choice, Item, align_labels, form, row, show_row
from napari_tincture.widgets._layers import possible_axes
from napari_tincture.widgets._map_layers import is_map
from napari_tincture.widgets._range_row import RangeRow
from napari_tincture.widgets._ticks import Ticks

_CELLS = "Labels of all cells: gives the percentage of them that are stained, in either image"
_CHANNELS = (
    Item("each", "each", "One row per channel"),
    Item("mean", "mean", "The mean of the channels' figures"),
    Item("luminance", "luminance", "Of colours: 0.2125 R + 0.7154 G + 0.0721 B"),
)
_AREAS = (
    Item("whole layer", "layer", "Every pixel of the reference"),
    Item("what is on screen", "viewport", "The part of the reference that the window shows"),
)
_ALL = Item("all pixels", None, "Nothing is masked")
_TISSUE = Item("tissue", "tissue", "What is no background, by Otsu's threshold")
_ONE = Item("one for all", None, "One row per image and channel")
_NO_CELLS = Item("none", None, "No percentage of stained cells is given")
_DEFAULTS = {"Image": METRICS, "Labels": _compare_labels.METRICS}
_SQUARES = Item("squares", "grid", "One row per square of so many pixels")


class CompareForm(QWidget):
    """The fields; `choices` is what they say."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.reference = Choice(tooltip="What the others are compared with, on its grid")
        self.images = Ticks(tooltip="What is compared with the reference")
        self.axes = Choice(tooltip="What the dimensions of the layers are; they do not say")
        self.align = AlignRow()
        self.metrics = Ticks(tooltip="What is measured; all are found in one pass", rows=5)
        self.range = RangeRow()
        self.channels = Choice(_CHANNELS, tooltip="What becomes of channels and colours")
        self.area = Choice(_AREAS, tooltip="How much of the reference")
        self.masks = Choice([_ALL, _TISSUE], tooltip="Which pixels count")
        self.leave_out = QCheckBox("leave out NaN and infinity")
        self.leave_out.setToolTip("Leave out such pixels, with all windows that see them")
        self.cells = Choice([_NO_CELLS], tooltip=_CELLS)
        self.regions = Choice([_ONE, _SQUARES], tooltip="What has rows of its own in the table")
        self.side = pixels_box(256, 1_000_000, 8)
        self.side.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.side.setToolTip("Side of a square, in pixels of the reference")
        self.maps = Ticks(tooltip="Which figures become layers: a value for every pixel", rows=3)
        self._metrics = offered_metrics()
        self._kind = "Image"
        self._ticked = {kind: list(names) for kind, names in _DEFAULTS.items()}
        self._lay_out()
        self._connect()
        self._offer_metrics()
        self._show_fields()

    def offer(self, layers: list[Any]) -> None:
        """Offer the layers of a viewer, the topmost first."""
        found = [layer for layer in layers if kind_of(layer) in KINDS and not is_map(layer)]
        self.reference.set_items([Item(layer.name, layer) for layer in found])
        kind = kind_of(self.reference.value)
        others = [
            layer for layer in found if kind_of(layer) == kind and layer is not self.reference.value
        ]
        # With a single pair there is nothing to choose.
        ticked = others if len(others) == 1 else []
        self.images.set_items(
            [Item(layer.name, layer, layer.name) for layer in others], ticked=ticked
        )
        labels = [layer for layer in found if kind_of(layer) == "Labels"]
        shapes = [layer for layer in layers if kind_of(layer) == "Shapes"]
        masks = (Item(layer.name, layer, "Pixels other than 0 count") for layer in labels)
        self.masks.set_items([_ALL, _TISSUE, *masks])
        parts = (Item(layer.name, layer, "One row per shape or label") for layer in shapes + labels)
        self.regions.set_items([_ONE, _SQUARES, *parts])
        cells = (Item(layer.name, layer, _CELLS) for layer in labels)
        self.cells.set_items([_NO_CELLS, *cells])
        self._offer_axes()
        self._follow_kind(kind or self._kind)
        self.side.setVisible(self.regions.value == "grid")

    @property
    def choices(self) -> CompareChoices:
        """What the fields say.

        Raises
        ------
        InputError
            If the data range is no number.
        """
        regions, images = self.regions.value, self._kind == "Image"
        return CompareChoices(
            reference=self.reference.value, images=tuple(self.images.ticked),
            metrics=tuple(self.metrics.ticked), axes=self.axes.value or "",
            data_range=self.range.value if images else None,
            channels=self.channels.value if images else "each", area=self.area.value,
            mask=self.masks.value, maps=tuple(self.maps.ticked) if images else (),
            cells=None if images else self.cells.value,
            leave_out=images and self.leave_out.isChecked(),
            regions=f"grid:{self.side.value()}" if regions == "grid" else regions,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """What is remembered when the panel is closed: all but layers."""
        return {
            "metrics": {**self._ticked, self._kind: self.metrics.ticked}, "maps": self.maps.ticked,
            "align": (self.align.first.isChecked(), self.align.model.value),
            "leave out": self.leave_out.isChecked(),
            "channels": self.channels.value, "area": self.area.value, "side": self.side.value(),
            "range": (self.range.kind.value, self.range.number.text()),
        }  # fmt: skip

    def recall(self, state: dict[str, Any]) -> None:
        """Take what was remembered."""
        if not state:
            return
        self._ticked = dict(state["metrics"])
        self.metrics.ticked = self._ticked[self._kind]
        checked, self.align.model.value = state["align"]
        self.align.first.setChecked(checked)
        self.leave_out.setChecked(state["leave out"])
        self.maps.ticked = state["maps"]
        self.channels.value, self.area.value = state["channels"], state["area"]
        self.side.setValue(state["side"])
        self.range.kind.value = state["range"][0]
        self.range.number.setText(state["range"][1])

    def _lay_out(self) -> None:
        self._form = form()
        self.setLayout(self._form)
        for label, field in (
            ("Reference", self.reference), ("Axes", self.axes), ("Images", self.images),
            ("Alignment", self.align), ("", self.align.texts), ("Metrics", self.metrics),
            ("All cells", self.cells), ("Maps", self.maps), ("Range", self.range),
            ("", self.leave_out), ("Channels", self.channels), ("Area", self.area),
            ("Mask", self.masks), ("Rows", row([self.regions, self.side])),
        ):  # fmt: skip
            if field is self.align.texts:
                self._form.addRow(field)
            else:
                self._form.addRow(label, field)
        align_labels(self._form)

    def _connect(self) -> None:
        for choice in (
            self.reference, self.axes, self.channels, self.area, self.masks, self.regions,
            self.cells,
        ):  # fmt: skip
            choice.chosen.connect(self.changed)
        self.metrics.changed.connect(self._offer_maps)
        for part in (self.images, self.metrics, self.maps, self.range, self.align):
            part.changed.connect(self.changed)
        self.leave_out.toggled.connect(lambda _: self.changed.emit())
        self.side.valueChanged.connect(lambda _: self.changed.emit())

    def _follow_kind(self, kind: str) -> None:
        """Offer what there is of the kind of layer; what was ticked of the other is kept."""
        if kind != self._kind:
            self._ticked[self._kind] = self.metrics.ticked
            self._kind = kind
            self._offer_metrics()
        self._show_fields()

    def _offer_metrics(self) -> None:
        if self._kind == "Labels":
            names = sorted(list_metrics("labels"), key=lambda n: n not in _compare_labels.METRICS)
            helps, lacking = {name: _labels_help(name) for name in names}, {}
        else:
            lacking = barred(self._metrics)
            helps = {name: _help(name, metric) for name, metric in self._metrics.items()}
        items = [Item(name, name, lacking.get(name, text)) for name, text in helps.items()]
        self.metrics.set_items(items, ticked=self._ticked[self._kind], barred=lacking)

    def _show_fields(self) -> None:
        """Show what means something for the kind of layer."""
        images = self._kind == "Image"
        for field in (self.range, self.channels):
            show_row(self._form, field, images)
        show_row(self._form, self.maps, images and self.maps.count() > 0)
        show_row(self._form, self.cells, not images)
        layers = [self.reference.value, *self.images.ticked]
        floats = any(layer is not None and layer.dtype.kind in "fc" for layer in layers)
        show_row(self._form, self.leave_out, images and floats)

    def _offer_maps(self) -> None:
        chosen = [self._metrics[n] for n in self.metrics.ticked if n in self._metrics]
        items = [Item(c, c, f"A map of {c}") for metric in chosen for c in metric.maps]
        # The first map of each metric says most; its parts are for those who ask.
        first = [metric.maps[0] for metric in chosen if metric.maps]
        if self._kind == "Image":  # else what was ticked would be forgotten
            self.maps.set_items(items, ticked=first)
        self._show_fields()

    def _offer_axes(self) -> None:
        layer, unknown = self.reference.value, False
        if layer is not None:
            try:
                open_image(layer)
            except InputError:
                unknown = layer.ndim > 2
            items = [Item("choose …", ""), *(Item(axes, axes) for axes in possible_axes(layer))]
            self.axes.set_items(items)
        if not unknown and self.axes.count():
            self.axes.blockSignals(True)
            self.axes.value = ""
            self.axes.blockSignals(False)
        show_row(self._form, self.axes, unknown)


def _labels_help(name: str) -> str:
    """What a metric of labels is, by its own words."""
    module = import_module(f"napari_tincture.metrics.labels.{name}")
    return (inspect.getdoc(module) or name).strip()


def _help(name: str, metric: Metric) -> str:
    """What a metric is, by its own words."""
    module = sys.modules[f"napari_tincture.metrics.{name}"]
    texts = [inspect.getdoc(module), inspect.getdoc(type(metric))]
    lines = [text.strip() for text in texts if text]
    return "\n".join([*dict.fromkeys(lines), f"{metric.better.capitalize()} is better."])
