"""The rows that the panels of all tasks have, and what of them is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar

from napari.layers import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QFormLayout, QVBoxLayout, QWidget

from napari_tincture.errors import ModelError
from napari_tincture.widgets._batch import Batch
from napari_tincture.widgets._channel_rows import ChannelRows
from napari_tincture.widgets._chosen_layer import ChosenLayer
from napari_tincture.widgets._docked import Docked
from napari_tincture.widgets._form import Choice, Item, Message, Scrolling, align_labels, form
from napari_tincture.widgets._jobs import JobHub
from napari_tincture.widgets._live_row import LiveRow
from napari_tincture.widgets._memory import kept
from napari_tincture.widgets._model_row import ModelRow
from napari_tincture.widgets._options import Options
from napari_tincture.widgets._output import Output
from napari_tincture.widgets._preferences import preferred
from napari_tincture.widgets._regions import GIVEN, Region
from napari_tincture.widgets._run_row import RunRow
from napari_tincture.widgets._shown_recipe import FurtherRow

_PAUSE = 40
"""Milliseconds without a change after which the panel is refreshed."""
_REGIONS = (
    Item("whole layer", "layer", "Every pixel of the layer"),
    Item("selected shape", "shape", "The bounding box of the selected rectangle"),
    Item("what is on screen", "viewport", "The part of the layer that the window shows"),
)


class TaskForm(Docked):
    """A form; `TaskPanel` makes jobs of it."""

    task: ClassVar[str]
    further_tasks: ClassVar[tuple[str, ...]] = ()
    """That its buttons begin beside its own."""
    kind: ClassVar[type[Any]] = Image
    """Of the layers that it works on."""
    viewer: Any
    box: Region
    """The pixels that a recipe gives as the region; empty if none does."""
    _hub: JobHub

    def add_rows(self, layout: QFormLayout) -> None:
        """Add the task's own settings; for a subclass."""

    def settings(self) -> dict[str, Choice]:
        """Give the drop-downs whose values are remembered; a subclass adds its own."""
        own = {"region": self.region, "planes": self.planes, "output": self.output.kind}
        names = ("context", "seams", "device", "precision")
        return own | {name: getattr(self.more, name) for name in names}

    def show_box(self, box: Region) -> None:
        """Offer a part of the layer as a region, by its pixels; an empty one is offered no more."""
        self.box = dict(box)
        text = ", ".join(f"{axis} {start}–{stop}" for axis, (start, stop) in self.box.items())
        given = [Item(text, GIVEN, "The pixels that the recipe names")] if box else []
        self.region.set_items([*_REGIONS, *given])

    def show_options(self, given: dict[str, Any], layers: Sequence[str]) -> None:
        """Show settings of a recipe and take off the list what there are controls for.

        Parameters
        ----------
        given
            By name; what is not given is as usual.
        layers
            Names of the layers that ``{"source": number}`` stands for.
        """
        self.more.show_options(given)

    def _boxes(self) -> dict[str, QCheckBox]:
        names = ("nan_is_background", "leave_out", "any_pixel_size")
        return {name: getattr(self.more, name) for name in names}

    def _make_settings(self) -> None:
        self.chosen = ChosenLayer(self.viewer, self.task, self.kind)
        self.layer, self.axes = self.chosen.layer, self.chosen.axes
        self.model = ModelRow(self.task)
        self.channels = ChannelRows()
        self.region = Choice(_REGIONS, tooltip="How much of the layer")
        self.shapes = Choice(tooltip="The Shapes layer that holds the rectangle")
        self.planes = Choice(
            [Item("all", "all", "Every plane"), Item("the shown one", "shown", "One plane")],
            tooltip="Planes along t and z that are not inputs of the model",
        )
        self.box = {}
        self._device_to_come = ""
        self.output = Output()
        self.further = FurtherRow()
        self.more = Options()
        self.batch = self.make_batch()
        self.message, self.runner, self.live_row = Message(), RunRow(), LiveRow(self._hub)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_PAUSE)

    def make_batch(self) -> Batch:
        """Make the form for many images; a subclass may have one of its own."""
        return Batch()

    def _lay_out(self) -> None:
        self._form = form()
        self._form.addRow("Layer", self.layer)
        self._form.addRow("Axes", self.axes)
        self._form.addRow("Model", self.model)
        self._form.addRow(self.channels)
        self.add_rows(self._form)
        self._form.addRow("Region", self.region)
        self._form.addRow("Shape", self.shapes)
        self._form.addRow("Planes", self.planes)
        self._form.addRow(self.further)
        self._form.addRow("Output", self.output)
        align_labels(self._form)
        settings = QWidget()
        inner = QVBoxLayout(settings)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addLayout(self._form)
        inner.addWidget(self.more)
        inner.addWidget(self.batch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        for widget in (Scrolling(settings), self.message, self.runner, self.live_row):
            layout.addWidget(widget)
        layout.addStretch(1)

    def _state(self) -> dict[str, Any]:
        choices = {name: choice.value for name, choice in self.settings().items()}
        if choices["device"] == "auto":
            choices["device"] = self._device_to_come or "auto"
        return {
            "choices": choices,
            "boxes": {name: box.isChecked() for name, box in self._boxes().items()},
            "model": self.model.name,
            "path": self.output.path.text(),
            "axes": dict(self.chosen.known),
            "unfolded": self.more.unfolded,
            "box": dict(self.box),
            "further": self.further.values,
        }

    def _begin_as_preferred(self) -> None:
        likes = preferred()
        own = {"device": self.more.device, "precision": self.more.precision}
        for name, choice in {**own, "output": self.output.kind}.items():
            if choice.offers(likes[name]):
                choice.value = likes[name]
        self._device_to_come = likes["device"]

    def _offer_devices(self) -> None:
        """Offer what the worker knows by now, a preferred device among it."""
        self.more.offer_devices(self._hub.client.devices)
        if self._device_to_come and self.more.device.offers(self._device_to_come):
            self.more.device.value, self._device_to_come = self._device_to_come, ""

    def _recall(self) -> None:
        state = kept(self.task)
        if not state:
            self._begin_as_preferred()
            return
        self.chosen.known = state["axes"]
        self.output.path.setText(state["path"])
        self.show_box(state["box"])
        self.further.show_values(state["further"])
        for name, value in state["choices"].items():
            choice = self.settings()[name]
            if choice is self.more.device and not choice.offers(value):
                self._device_to_come = value  # the worker has not told of it yet
            else:
                choice.value = value
        for name, ticked in state["boxes"].items():
            self._boxes()[name].setChecked(ticked)
        self.more.unfolded = state["unfolded"]
        with suppress(ModelError):  # its file may be gone
            self.model.choose(state["model"])
