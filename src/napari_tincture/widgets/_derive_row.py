"""A folded form that makes a new map of the chosen one: bent, or with its objects elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QPushButton, QSpinBox, QVBoxLayout, QWidget

from napari_tincture.errors import InputError, TinctureError
from napari_tincture.models.card import ModelCard
from napari_tincture.models.class_table import classes_of
from napari_tincture.progress import CancelToken, Progress
from napari_tincture.raster import Raster
from napari_tincture.tasks.derive_labels import derive_labels
from napari_tincture.widgets._background import Background, in_panel, was_cancelled
from napari_tincture.widgets._fields import pixels_box
from napari_tincture.widgets._form import (
    Choice,
    Folding,
    Item,
    Level,
    Message,
    align_labels,
    form,
    show_row,
)
from napari_tincture.widgets._gone import when_gone
from napari_tincture.widgets._label_map import dress
from napari_tincture.widgets._sampler_rows import LARGEST_SEED

USUAL_BEND = 8
LARGEST = 500
TURNED = {"turn": 180.0, "resize": 1.25}
EACH = "each"
_EACH_VALUE = Item("each number", EACH, "Of maps with a number per object, 0 for none")


class DeriveRow(Folding):
    """Derives label maps, each press another one; its fields are public.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the new maps.
    open_map
        Gives the chosen map.
    """

    def __init__(self, viewer: Any, open_map: Callable[[], Raster]) -> None:
        self._viewer, self._open = viewer, open_map
        self._card: ModelCard | None = None
        self.bend, self.moved = (pixels_box(n, LARGEST, zero="not") for n in (USUAL_BEND, 0))
        self.bend.setToolTip("Bend the whole map like rubber; labels move this far at most")
        self.moved.setToolTip(
            "Lift objects out and put them back this far away at most, where there is room"
        )
        self.turned = QCheckBox("turn and resize them, too")
        self.turned.setToolTip("Any angle, and up to a quarter larger or a fifth smaller")
        self.objects = Choice(tooltip="What is moved: connected parts of a class")
        self.seed = QSpinBox()
        self.seed.setRange(0, LARGEST_SEED)
        self.seed.setToolTip("Rises by 1 with each map; the same seed gives the same map")
        self.button = QPushButton("Derive map")
        self.button.setToolTip("A new Labels layer made of the chosen map, which stays as it is")
        self.message = Message()
        super().__init__("Derive", self._body(), tooltip="More maps from the one that is chosen")
        self.deriving = Background("tincture-derive")
        self.deriving.finished.connect(self._add)
        self.deriving.failed.connect(self._on_failed)
        when_gone(self, self.deriving.drop)
        self.button.clicked.connect(lambda _: self.make())
        self.moved.valueChanged.connect(lambda _: self._update())
        self._update()

    def offer(self, card: ModelCard | None) -> None:
        """Offer the classes of the chosen model."""
        self._card = card
        classes = {} if card is None else classes_of(card)
        items = [
            Item(c.name, value, f"Connected parts of {c.name}") for value, c in classes.items()
        ]
        self.objects.set_items([*items[1:], *items[:1], _EACH_VALUE])  # the first one is ground

    @property
    def bounds(self) -> dict[str, Any]:
        """How far maps are changed, as arguments of `derive_labels`."""
        found: dict[str, Any] = {"elastic": self.bend.value()}
        if self.moved.value():
            objects = "all" if self.numbered else self.objects.value
            found |= {"move": self.moved.value(), "objects": objects}
            found |= TURNED if self.turned.isChecked() else {}
        return found

    def show_bounds(self, given: Mapping[str, Any]) -> None:
        """Show how far maps are changed.

        Raises
        ------
        InputError
            If there are no controls for it.
        """
        self.bend.setValue(int(given.get("elastic", 0)))
        self.moved.setValue(int(given.get("move", 0)))
        if "objects" in given:
            self.objects.value = EACH if given["objects"] == "all" else given["objects"]
        self.turned.setChecked("turn" in given)
        if self.bounds != dict(given):
            raise InputError(
                f"Derive has no controls for {dict(given)}. Run the recipe as it is, by nt.run "
                "or napari-tincture run, or choose here what is to be derived."
            )

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of `derive_labels`."""
        known = self.moved.value() and not self.numbered
        return {
            **self.bounds, "seed": self.seed.value(), **({"model": self._card} if known else {}),
        }  # fmt: skip

    @property
    def numbered(self) -> bool:
        """Whether the map has a number per object, and so no classes."""
        return self.moved.value() > 0 and self.objects.value == EACH

    def make(self) -> None:
        """Begin to derive a map; it becomes a layer when it is there."""
        options = self.options
        try:
            if not (self.bend.value() or self.moved.value()):
                raise InputError("Choose how far to bend the map, or to move its objects.")
            given = self._open()
        except TinctureError as error:
            self._on_failed(error)
            return
        self.button.setEnabled(False)
        self.deriving.start(partial(_derive, given, options))

    def _add(self, found: Raster) -> None:
        step = found.provenance["steps"][-1]
        settings, moved = step["settings"], step["objects"]
        data, options, _ = found.to_layer()
        before = set(self._viewer.layers.selection)
        layer: Labels = self._viewer.add_labels(data, **options)
        layer.name = f"{found.name} {settings['seed']}"
        if self._card is not None and not self.numbered:
            dress(layer, classes_of(self._card))
        # The chosen map stays chosen: the next press derives another one from it.
        self._viewer.layers.selection = before
        self.button.setEnabled(True)
        self.seed.setValue(min(int(settings["seed"]) + 1, LARGEST_SEED))
        text = str(layer.name)
        if moved:
            text += f": {moved['changed']} of {moved['of']} objects moved"
        self.message.show_text(Level.READY, f"{text}.")

    def _on_failed(self, error: Exception) -> None:
        self.button.setEnabled(True)
        text = "" if was_cancelled(error) else in_panel(error)
        self.message.show_text(Level.PROBLEM, text)

    def _body(self) -> QWidget:
        self._form = form()
        self._form.addRow("Bend", self.bend)
        self._form.addRow("Move", self.moved)
        self._form.addRow("Objects", self.objects)
        self._form.addRow(self.turned)
        self._form.addRow("Seed", self.seed)
        align_labels(self._form)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(self.button)
        layout.addWidget(self.message)
        self.message.show_text(Level.READY, "")
        return body

    def _update(self) -> None:
        for field in (self.objects, self.turned):
            show_row(self._form, field, self.moved.value() > 0)


def _derive(given: Raster, options: dict[str, Any], _: Progress, cancel: CancelToken) -> Raster:
    cancel.check()
    return derive_labels(given, **options)
