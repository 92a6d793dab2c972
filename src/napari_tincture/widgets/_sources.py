"""What a training learns from: layers, a folder, or both, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari.layers import Image, Labels
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QLabel, QLineEdit, QToolButton, QVBoxLayout, QWidget

from napari_tincture.widgets._form import Choice, Item, align_labels, form, row, show_row
from napari_tincture.widgets._layers import possible_axes
from napari_tincture.widgets._ticks import Ticks
from napari_tincture.widgets._train_plan import Chosen
from napari_tincture.widgets._train_preview import MARK

ROWS = 4
"""Layers that are seen at once."""


class Sources(QWidget):
    """Image layers to tick, a folder, and a Labels layer that says what is left out.

    Parameters
    ----------
    what
        What the images are, for tooltips.
    """

    changed = Signal()

    def __init__(self, what: str) -> None:
        super().__init__()
        self.labelled = False
        """Whether Labels layers are what to choose from."""
        self.layers = Ticks(tooltip=f"Layers with {what}", rows=ROWS)
        self.folder = QLineEdit()
        self.folder.setPlaceholderText("or a folder of images")
        self.folder.setToolTip(f"A folder with {what}, an image, or a pattern such as a/*.tif")
        self.left_out = Choice(
            tooltip="A Labels layer: what is painted there is left out, such as folds, places that "
            "are stained wrongly or out of focus"
        )
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip("Choose a folder")
        browse.clicked.connect(self._browse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.layers)
        layout.addWidget(row([self.folder, browse]))
        layout.addWidget(self.left_out)
        self.layers.changed.connect(self.changed)
        self.folder.textChanged.connect(lambda _: self.changed.emit())
        self.left_out.chosen.connect(self.changed)

    @property
    def chosen(self) -> Chosen:
        """What is chosen now."""
        return Chosen(tuple(self.layers.ticked), self.folder.text().strip(), self.left_out.value)

    def offer(self, layers: Sequence[Any]) -> None:
        """Offer the layers of a viewer, but for previews."""
        images = [x for x in layers if isinstance(x, Image) and MARK not in x.metadata]
        labels = [x for x in layers if isinstance(x, Labels)]
        shown = labels if self.labelled else images
        self.layers.set_items([Item(layer.name, layer, layer.name) for layer in shown])
        masks = [Item(f"leave out: {layer.name}", layer) for layer in labels]
        self.left_out.set_items([Item("leave out nothing", None), *masks])
        self.left_out.setVisible(bool(labels))
        self.layers.setVisible(bool(shown))

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder", self.folder.text())
        if folder:
            self.folder.setText(folder)


PAIRINGS = {
    "unpaired": Item("unpaired", "unpaired", "Any images of both kinds, of different places"),
    "pairs": Item(
        "registered pairs", "pairs", "Images of the same places, matched by name or by order"
    ),
    "alone": Item("images alone", "alone", "Images of one kind, which are made of themselves"),
    "both": Item("unpaired, and a few pairs", "both", "Registered pairs steer the training"),
}


class Sides(QWidget):
    """From and To, how they belong together, and a few pairs beside."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.pairing = Choice(tooltip="Whether images of both kinds show the same places")
        self.axes = Choice(tooltip="What the dimensions of this layer are; it does not say")
        self.a = Sources("images as the model will be given them")
        self.b = Sources("images as the model should make them")
        self.pair_a = Sources("images as the model will be given them, with partners")
        self.pair_b = Sources("their partners, of the same places")
        self.reversed = False
        """Whether b is what the model is given: label maps, of which it makes images."""
        self._known_axes: dict[str, str] = {}
        self._layers: Sequence[Any] = ()
        self._form = form()
        self._form.setContentsMargins(0, 0, 0, 0)
        self.setLayout(self._form)
        for name, widget in (
            ("From", self.a), ("To", self.b), ("Pairing", self.pairing),
            ("Pairs from", self.pair_a), ("Pairs to", self.pair_b), ("Axes", self.axes),
        ):  # fmt: skip
            self._form.addRow(name, widget)
        align_labels(self._form)
        for sources in (self.a, self.b, self.pair_a, self.pair_b):
            sources.changed.connect(self.changed)
        self.pairing.chosen.connect(self._on_pairing)
        self.axes.chosen.connect(self._on_axes)
        self.offer_pairings("unpaired", False)
        show_row(self._form, self.axes, False)

    @property
    def given(self) -> Sources:
        """What the model will be given."""
        return self.b if self.reversed else self.a

    @property
    def words(self) -> tuple[str, str]:
        """What a and b are called."""
        return ("Images", "Maps") if self.reversed else ("From", "To")

    @property
    def known_axes(self) -> dict[str, str]:
        """Letters per layer name, as a person has said."""
        return dict(self._known_axes)

    @property
    def chosen(self) -> dict[str, Chosen]:
        """What is chosen for each side, by the names of `TrainSettings`."""
        if self.pairing.value == "pairs":
            return {"pair_a": self.a.chosen, "pair_b": self.b.chosen}
        if self.pairing.value == "alone":
            return {"a": self.a.chosen}
        found = {"a": self.a.chosen, "b": self.b.chosen}
        if self.pairing.value == "both":
            found |= {"pair_a": self.pair_a.chosen, "pair_b": self.pair_b.chosen}
        return found

    def offer(self, layers: Sequence[Any]) -> None:
        """Offer the layers of a viewer, but for previews."""
        self._layers = layers
        for sources in (self.a, self.b, self.pair_a, self.pair_b):
            sources.offer(layers)

    def take(self, data: Mapping[str, Any], kept: Mapping[str, Any], viewer: Any) -> None:
        """Choose the images of a recipe, as far as they are known.

        Parameters
        ----------
        data
            Of the recipe.
        kept
            By `_train_plan`, of a training of this recipe.
        """
        pairs = data.get("pairs") or {}
        paired = self.pairing.value == "pairs"
        if not paired and pairs:
            self.pairing.value = "both"
        places = {"a": self.a, "b": self.b, "pair_a": self.pair_a, "pair_b": self.pair_b}
        places |= {"pair_a": self.a, "pair_b": self.b} if paired else {}
        files = {"a": data.get("a"), "b": data.get("b")}
        files |= {"pair_a": pairs.get("a"), "pair_b": pairs.get("b")}
        for name, place in places.items():
            own = kept.get(name, {})
            images = (files[name] or {}).get("images", ())
            images = [images] if isinstance(images, str) else images
            place.folder.setText(own.get("folder") or (images[0] if len(images) == 1 else ""))
            known = [layer["name"] for layer in own.get("layers", ())]
            place.layers.ticked = [viewer.layers[n] for n in known if n in viewer.layers]

    def offer_pairings(
        self, data: str, pairs: bool, labels: bool = False, synthesizes: bool = False
    ) -> None:
        """Offer what a family can learn from, see `Published.data`, perhaps with pairs beside.

        `labels`: whether it learns from Labels layers; `synthesizes`: and makes images of them.
        """
        self.reversed = synthesizes
        for sources, word in zip((self.a, self.b), self.words, strict=True):
            label = self._form.labelForField(sources)
            assert isinstance(label, QLabel)
            label.setText(word)
        if self.b.labelled != labels:
            self.b.labelled = labels
            self.b.offer(self._layers)
        unpaired = ["unpaired", *(["both"] if pairs else [])]
        names = {"paired": ["pairs"], "images": ["alone"]}.get(data, unpaired)
        self.pairing.set_items(PAIRINGS[name] for name in names)
        self._show_pairs()

    def ask_axes(self, layer: Any | None) -> None:
        """Ask what the dimensions of a layer are; None: all layers say it."""
        show_row(self._form, self.axes, layer is not None)
        if layer is not None:
            ways = [
                Item(f"{layer.name}: {axes}", (layer.name, axes)) for axes in possible_axes(layer)
            ]
            self.axes.set_items([Item(f"{layer.name}: choose …", None), *ways])

    def _on_axes(self) -> None:
        if self.axes.value is not None:
            name, axes = self.axes.value
            self._known_axes[name] = axes
            self.changed.emit()

    def _on_pairing(self) -> None:
        self._show_pairs()
        self.changed.emit()

    def _show_pairs(self) -> None:
        for sources in (self.pair_a, self.pair_b):
            show_row(self._form, sources, self.pairing.value == "both")
        show_row(self._form, self.b, self.pairing.value != "alone")
