"""The settings of the Compare panel: what to compare with what, by which metrics, and where."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QSpinBox, QWidget

from napari_tincture.errors import InputError
from napari_tincture.io.open import open_image
from napari_tincture.metrics.metric import Metric
from napari_tincture.tasks.compare import METRICS
from napari_tincture.widgets._compare_plan import (
    KINDS,
    CompareChoices,
    is_map,
    kind_of,
    offered_metrics,
)
from napari_tincture.widgets._form import Choice, Item, align_labels, form, row, show_row
from napari_tincture.widgets._layers import possible_axes
from napari_tincture.widgets._range_row import RangeRow
from napari_tincture.widgets._ticks import Ticks

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
_SQUARES = Item("squares", "grid", "One row per square of so many pixels")


class CompareForm(QWidget):
    """The fields; `choices` is what they say."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.reference = Choice(tooltip="What the others are compared with, on its grid")
        self.images = Ticks(tooltip="What is compared with the reference")
        self.axes = Choice(tooltip="What the dimensions of the layers are; they do not say")
        self.metrics = Ticks(tooltip="What is measured; all are found in one pass", rows=5)
        self.range = RangeRow()
        self.channels = Choice(_CHANNELS, tooltip="What becomes of channels and colours")
        self.area = Choice(_AREAS, tooltip="How much of the reference")
        self.masks = Choice([_ALL, _TISSUE], tooltip="Which pixels count")
        self.regions = Choice([_ONE, _SQUARES], tooltip="What has rows of its own in the table")
        self.side = QSpinBox()
        self.side.setRange(8, 1_000_000)
        self.side.setValue(256)
        self.side.setSuffix(" px")
        self.side.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.side.setToolTip("Side of a square, in pixels of the reference")
        self.maps = Ticks(tooltip="Which figures become layers: a value for every pixel", rows=3)
        self._metrics = dict(offered_metrics())
        items = [Item(name, name, _help(name, metric)) for name, metric in self._metrics.items()]
        self.metrics.set_items(items, ticked=METRICS)
        self._lay_out()
        self._connect()
        self._offer_maps()

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
        self._offer_axes()
        self.side.setVisible(self.regions.value == "grid")

    @property
    def choices(self) -> CompareChoices:
        """What the fields say.

        Raises
        ------
        InputError
            If the data range is no number.
        """
        regions = self.regions.value
        return CompareChoices(
            reference=self.reference.value, images=tuple(self.images.ticked),
            metrics=tuple(self.metrics.ticked), axes=self.axes.value or "",
            data_range=self.range.value, channels=self.channels.value, area=self.area.value,
            mask=self.masks.value, maps=tuple(self.maps.ticked),
            regions=f"grid:{self.side.value()}" if regions == "grid" else regions,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """What is remembered when the panel is closed: all but layers."""
        return {
            "metrics": self.metrics.ticked, "maps": self.maps.ticked,
            "channels": self.channels.value, "area": self.area.value, "side": self.side.value(),
            "range": (self.range.kind.value, self.range.number.text()),
        }  # fmt: skip

    def recall(self, state: dict[str, Any]) -> None:
        """Take what was remembered."""
        if not state:
            return
        self.metrics.ticked = state["metrics"]
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
            ("Metrics", self.metrics), ("Maps", self.maps), ("Range", self.range),
            ("Channels", self.channels), ("Area", self.area), ("Mask", self.masks),
            ("Rows", row([self.regions, self.side])),
        ):  # fmt: skip
            self._form.addRow(label, field)
        align_labels(self._form)

    def _connect(self) -> None:
        for choice in (
            self.reference, self.axes, self.channels, self.area, self.masks, self.regions,
        ):  # fmt: skip
            choice.chosen.connect(self.changed)
        self.metrics.changed.connect(self._offer_maps)
        for part in (self.images, self.metrics, self.maps, self.range):
            part.changed.connect(self.changed)
        self.side.valueChanged.connect(lambda _: self.changed.emit())

    def _offer_maps(self) -> None:
        chosen = [self._metrics[name] for name in self.metrics.ticked]
        items = [Item(c, c, f"A map of {c}") for metric in chosen for c in metric.maps]
        # The first map of each metric says most; its parts are for those who ask.
        first = [metric.maps[0] for metric in chosen if metric.maps]
        self.maps.set_items(items, ticked=first)
        show_row(self._form, self.maps, bool(items))

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


def _help(name: str, metric: Metric) -> str:
    """What a metric is, by its own words."""
    module = sys.modules[f"napari_tincture.metrics.{name}"]
    texts = [inspect.getdoc(module), inspect.getdoc(type(metric))]
    lines = [text.strip() for text in texts if text]
    return "\n".join([*dict.fromkeys(lines), f"{metric.better.capitalize()} is better."])
