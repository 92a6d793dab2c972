"""Settings that are seldom needed: context, seams, device, precision, and what to let pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_tincture.precision import PRECISIONS
from napari_tincture.widgets._form import (
    Choice,
    Folding,
    Item,
    align_labels,
    form,
    show_row,
    take,
)
from napari_tincture.worker.settings import CONTEXTS

_CONTEXT_HELP = {
    "auto": "exact while memory allows, else from samples of the image",
    "exact": "what depends on the whole image is taken from all of it",
    "sampled": "it is taken from samples of the image",
    "tile": "each tile takes its own: fast, and tiles may show",
}

_SEAMS = (
    Item("exact", "exact", "Tiles see all that the network sees: the whole image's numbers"),
    Item("blended", "blend", "Tiles overlap little and are blended: for networks that see far"),
)


class Options(Folding):
    """A folded form; its fields are public."""

    changed = Signal()

    def __init__(self) -> None:
        self.context = Choice(
            [Item(name, name, _CONTEXT_HELP[name]) for name in CONTEXTS],
            tooltip="Where values come from that the network takes from the whole image",
        )
        self.seams = Choice(
            _SEAMS, tooltip="How tiles meet; how far they differ is said after the run"
        )
        self.device = Choice(tooltip="What computes")
        self.precision = Choice(
            [Item(name, name) for name in ("auto", *PRECISIONS)],
            tooltip="auto is float32; the others are faster and less exact",
        )
        self.nan_is_background = QCheckBox("NaN is background")
        self.nan_is_background.setToolTip("Treat NaN and infinity as the darkest value")
        self.leave_out = QCheckBox("leave out what cannot be read")
        self.leave_out.setToolTip("Take unreadable places as dark instead of stopping")
        self.any_pixel_size = QCheckBox("any pixel size")
        self.any_pixel_size.setToolTip("Run although the model was made for other pixels")
        self._form = layout = form()
        body = QWidget()
        body.setLayout(layout)
        layout.addRow("Context", self.context)
        layout.addRow("Seams", self.seams)
        layout.addRow("Device", self.device)
        layout.addRow("Precision", self.precision)
        layout.addRow(self.nan_is_background)
        layout.addRow(self.leave_out)
        layout.addRow(self.any_pixel_size)
        align_labels(layout)
        super().__init__("Options", body, tooltip="Seldom needed")
        self.offer_devices({})
        for choice in (self.context, self.seams, self.device, self.precision):
            choice.chosen.connect(self._tell)
        for box in self._boxes:
            box.toggled.connect(lambda _: self._tell())

    def show_options(self, given: dict[str, Any]) -> None:
        """Show settings of a task and take them off the list; what is not given is as usual."""
        take(self.context, given, "context", "auto")
        take(self.seams, given, "seams", "exact")
        take(self.device, given, "device", "auto")
        take(self.precision, given, "precision", "auto")
        for box, name, ticked in (
            (self.nan_is_background, "nonfinite", "background"),
            (self.leave_out, "on_read_error", "background"),
            (self.any_pixel_size, "pixel_size", "ignore"),
        ):
            box.setChecked(given.get(name) == ticked)
            if box.isChecked():
                del given[name]

    def leave_out_tiling(self) -> None:
        """Hide what is about reading images in tiles."""
        for field in (self.context, self.seams, self.nan_is_background, self.leave_out):
            show_row(self._form, field, shown=False)

    def add(self, widget: QWidget, label: str = "") -> None:
        """Add what only one panel has, at the end."""
        if label:
            self._form.addRow(label, widget)
            align_labels(self._form)
        else:
            self._form.addRow(widget)

    def offer_devices(self, known: Mapping[str, str]) -> None:
        """Offer devices by name, with a description each; the processor is always there."""
        items = [Item(name, name, text) for name, text in (known or {"cpu": ""}).items()]
        self.device.set_items(
            [Item("auto", "auto", "A GPU if there is one, else the processor"), *items]
        )

    @property
    def _boxes(self) -> tuple[QCheckBox, ...]:
        return self.nan_is_background, self.leave_out, self.any_pixel_size

    def _tell(self) -> None:
        choices = (self.context, self.device, self.precision)
        changed = [str(choice.value) for choice in choices if choice.value != "auto"]
        changed += ["blended"] if self.seams.value == "blend" else []
        boxes = [box for box in self._boxes if box.isChecked()]
        self.summarise(", ".join(changed + [box.text() for box in boxes]))
        self.changed.emit()
